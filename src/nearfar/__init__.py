"""Contrastive representation learning, from the objective to the evidence."""
