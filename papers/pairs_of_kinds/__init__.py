"""Pairs of two kinds: what the parts of CLIP are good for on few pairs."""
