"""What a run says of its evaluation. Imports nothing heavy, for the command line's help."""

from dataclasses import dataclass


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
