"""The proof of the nine invariants over live Kafka and Postgres. See :mod:`streams.reconciliation.invariants`."""
