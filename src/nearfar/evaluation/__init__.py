"""How good a frozen encoder is: kNN, linear probe, few labels, beside its baselines."""
