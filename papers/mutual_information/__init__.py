"""Bounds on mutual information (van den Oord 2018, Belghazi 2018, Poole 2019)."""
