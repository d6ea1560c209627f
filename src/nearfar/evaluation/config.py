"""What a run says of its evaluation. Imports nothing heavy, for the command line's help."""

import json
from dataclasses import asdict, dataclass

BASELINED = ("knn", "few_labels", "linear_probe")
"""Protocols that give accuracies of any features, so also of the baselines."""
PROTOCOLS = (*BASELINED, "classifier", "geometry", "map", "gallery")
"""What an evaluation does, each of which can be left out."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Which protocols judge the encoder."""

    knn: tuple[tuple[int, float], ...] = ((200, 0.1), (200, 0.5), (20, 0.07))
    """Neighbours k and temperature T of each weighted kNN vote."""
    labels_per_class: tuple[int, ...] = (1, 5, 10, 50)
    """Labels a class that the few-label probes get."""
    draws: int = 5
    """Random draws of those labels; 2 or more give a spread."""
    baselines: bool = True
    """Judge raw data and the untrained encoder beside the trained one."""
    seed: int = 0
    """Seed of the draws and of the probes."""
    leave_out: tuple[str, ...] = ()
    """What is not done: knn, few_labels, linear_probe, classifier, geometry (alignment, uniformity
    and distances of views), map, gallery (nearest neighbours)."""

    def runs(self, protocol: str) -> bool:
        """Whether a protocol, one of `PROTOCOLS`, is not left out."""
        return protocol not in self.leave_out

    def as_text(self) -> str:
        """All settings as JSON: an evaluation keeps them beside its figures."""
        return json.dumps(asdict(self))
