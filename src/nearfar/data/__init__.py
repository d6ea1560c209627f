"""Sources of examples by name, and the batches that are drawn from them."""
