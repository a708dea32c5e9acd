"""Runs: written, read back and executed, with where they come from."""
