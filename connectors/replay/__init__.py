"""Rebuilding what was lost from what is kept: the inputs and the journal say everything."""
