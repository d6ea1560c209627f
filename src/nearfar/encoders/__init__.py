"""Backbones by name, stems for small images, projection heads, trained encoders on disk."""
