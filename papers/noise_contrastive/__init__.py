"""Noise-contrastive estimation (Gutmann & Hyvärinen 2010, 2012)."""
