"""Why an encoder is good: alignment, uniformity, distances of pairs, neighbours, maps."""
