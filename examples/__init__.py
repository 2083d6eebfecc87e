"""Examples that run: what each shows is in its first line."""
