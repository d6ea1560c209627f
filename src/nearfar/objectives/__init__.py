"""Objectives as pure functions: tensors in, a scalar mean in nats out."""
