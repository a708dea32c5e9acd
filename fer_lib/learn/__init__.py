"""Layers, training, metrics, and what networks look at."""
