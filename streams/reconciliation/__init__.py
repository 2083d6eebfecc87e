"""The independent proof: its own arithmetic over journal, tables and Postgres. Never imports the ledger."""
