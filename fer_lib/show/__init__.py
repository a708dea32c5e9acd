"""What notebooks show: chapters, results, pictures."""
