"""What a run says of its training. Imports nothing heavy, for the command line's help."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainingConfig:
    """How long, how fast, on what."""

    epochs: int = 100
    """Passes over the training images."""
    batch_size: int = 256
    """Images in a step, on all ranks together. At most the number of training images."""
    micro_batch_size: int | None = None
    """Images embedded at a time (on each rank), for batches larger than memory; left out, all."""
    optimizer: Literal["adamw", "sgd", "lars"] = "adamw"
    """adamw, sgd (Nesterov-free momentum) or lars (layer-wise rates, for large batches)."""
    learning_rate: float = 1e-3
    """Highest learning rate, reached at the end of the warm-up; above 0."""
    weight_decay: float = 1e-4
    """Decay of weights; batch-norm parameters and biases are left out."""
    momentum: float = 0.9
    """Momentum of sgd and lars; 0 to 1."""
    warmup_share: float = 0.1
    """Share of all steps over which the rate rises from 0; cosine to 0 afterwards. 0 to 1."""
    drops: tuple[float, ...] = ()
    """Epochs after which the rate is a tenth of what it was; left out, it follows the cosine."""
    clip_norm: float | None = None
    """Largest gradient norm; left out, gradients are not clipped."""
    false_positives: float = 0.0
    """Probability that a second view is of another class's example; an experiment with labels."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto takes bf16 autocast where the hardware multiplies bf16 faster."""
    threads: int | None = None
    """Threads on a CPU, 1 or more; left out, as many as are fastest in a few measured steps."""
    knn_every: int = 5
    """Epochs between kNN checks on labelled images that data.held_out keeps; 0 for none."""
    checkpoint_every: int = 1
    """Epochs between checkpoints."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept; 2 or more, so that a damaged one has a predecessor."""
