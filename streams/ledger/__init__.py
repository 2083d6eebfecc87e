"""The pure state machine of the ledger and its vocabulary.

Standard library only: no I/O, no clock, no randomness, no Kafka, no Avro. A test enforces the imports.
"""
