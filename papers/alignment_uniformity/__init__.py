"""What the contrastive loss tends to with many negatives (Wang & Isola 2020)."""
