"""How many nats two things share, estimated from samples of both."""
