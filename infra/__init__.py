"""The local stack: real Kafka, registry and Postgres on loopback, and the supervisor that keeps Twofold running.

What lives here starts, watches and stops processes. What a topic, a schema or a table is, is not known here.
"""
