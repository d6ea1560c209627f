"""Which sets have room to show an effect, measured on training data alone."""
