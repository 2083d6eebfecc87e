"""Thin wiring of the ledger to topics, one file an agent. No rule about money lives here."""
