"""Debiased contrastive losses (Chuang et al. 2020, Troshestova & Isachenko 2023)."""
