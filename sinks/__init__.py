"""The Postgres sink: SQL migrations, writer, consumer. Nothing here decides anything about money."""
