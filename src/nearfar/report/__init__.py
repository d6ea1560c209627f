"""A run folder in, one HTML page out."""
