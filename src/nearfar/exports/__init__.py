"""Trained encoders in the files of other programs: ONNX, timm and the Hugging Face Hub."""
