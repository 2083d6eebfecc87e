"""Twofold: a double-entry payments ledger on Kafka. The public face of the package."""
