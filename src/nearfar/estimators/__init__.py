"""Bounds on mutual information as pure functions of critic scores, and exact values to judge by."""
