"""The five papers' networks, one folder each, and baselines of other works."""
