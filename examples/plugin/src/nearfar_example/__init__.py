"""A package that adds to nearfar without changing it."""
