"""SimCLR, MoCo and MoCo v2 side by side (Safonov 2021)."""
