"""Sums over similarities that are never all held: exact log-sum-exp, extremes and top-k."""
