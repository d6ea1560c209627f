"""Speed and memory beside peers and the physical limit; never a test."""
