"""All networks side by side: the matrix, and the panel to explore."""
