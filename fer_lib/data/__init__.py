"""Corpora: their readers, splits, decoding, and how files arrive."""
