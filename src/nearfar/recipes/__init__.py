"""Complete typed runs by name."""
