"""The bench of the field: bounds on mutual information where it is known, beside a peer."""
