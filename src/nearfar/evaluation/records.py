"""The flat records of `evaluation.json`."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

FeatureKind = Literal["encoder", "embedding", "start", "untrained", "raw", "chance"]
"""What is judged: the trained encoder, what its projection head makes of that, the weights that it
began with where these were not random, the same network at random weights, the data as they are; or
nothing, where a protocol says what guessing gives."""
FEATURE_NAMES = {
    "encoder": "the encoder",
    "embedding": "the embedding",
    "start": "the start",
    "raw": "raw data",
    "untrained": "the untrained encoder",
    "chance": "chance",
}
"""As sentences name them, in this order."""


@dataclass(frozen=True)
class Record:
    """One figure, with everything needed to say what it is.

    Attributes:
        protocol: Name of the measure.
        features: Of what.
        metric: top1 and top5 are fractions of the test examples; mean is a mean over them.
        value: The figure; its mean over draws where there are several.
        sd: Sample standard deviation over draws; None for a single figure.
        n: Number of test examples.
        parameters: The protocol's parameters.
    """

    protocol: str
    features: FeatureKind
    metric: str
    value: float
    n: int
    sd: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The record as it stands in the file."""
        return {
            "protocol": self.protocol,
            "features": self.features,
            "metric": self.metric,
            "value": self.value,
            "sd": self.sd,
            "n": self.n,
            "parameters": self.parameters,
        }


def over_draws(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation (n − 1) of several draws; one draw has no deviation.

    Args:
        values: One figure a draw.
    """
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None
    return mean, math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
