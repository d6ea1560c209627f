"""Parametric contrastive learning (Cui et al. 2021)."""
