"""Exactly-once batches for Faust agents. Knows nothing of money."""
