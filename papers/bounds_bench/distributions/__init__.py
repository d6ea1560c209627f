"""Pairs of variables that share as many nats as they are told to."""
