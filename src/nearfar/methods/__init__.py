"""Methods: parameters and state; views in, loss out."""
