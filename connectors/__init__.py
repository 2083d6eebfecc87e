"""The ways in and out for people and systems: command line, producers, queries."""
