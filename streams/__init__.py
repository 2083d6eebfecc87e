"""The stream processor: engine (exactly-once batches), ledger (pure rules), agents (wiring), reconciliation."""
