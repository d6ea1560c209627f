"""What a run says of its method. Imports nothing heavy: the command line reads it for its help.

A method's class is its name in `config.json`, its options and their defaults.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class SimCLRConfig:
    """SimCLR (Chen et al. 2020): views of an image near, all other images far.

    The settings below `objective` each belong to the objectives that they name; None keeps the
    objective's own default, and a setting that the objective does not have is refused.
    """

    name: Literal["simclr"] = "simclr"
    """Names the method in `config.json`."""
    objective: Literal[
        "nt_xent",
        "debiased_neg",
        "debiased_pos",
        "decoupled",
        "align_uniform",
        "triplet",
        "n_pair",
        "vicreg",
        "barlow_twins",
        "sigmoid",
    ] = "nt_xent"
    """What the embeddings are compared by; `nearfar objectives` says what each computes."""
    temperature: float | None = None
    """nt_xent, debiased_neg, debiased_pos, decoupled: divides cosine similarities; above 0."""
    tau_plus: float | None = None
    """debiased_neg, debiased_pos: probability that another image is of the same class; 0 to 1."""
    beta: float | None = None
    """debiased_neg: concentration on hard negatives; 0 is none."""
    positives: Literal["grouping", "combination"] | None = None
    """debiased_pos, of more than two views: mean of the positives, or of all pairs' losses."""
    marginal_over: Literal["candidates", "negatives"] | None = None
    """debiased_pos: what the sum over all candidates is divided by."""
    align_weight: float | None = None
    """align_uniform: weight of the alignment; 0 or above."""
    uniform_weight: float | None = None
    """align_uniform: weight of the uniformity; 0 or above."""
    alpha: float | None = None
    """align_uniform: power of the distance in the alignment; above 0."""
    t: float | None = None
    """align_uniform: sharpness of the potential in the uniformity; above 0."""
    margin: float | None = None
    """triplet: by how much squared distances to negatives must be larger; above 0."""
    similarity_weight: float | None = None
    """vicreg: weight of the distance between views; 0 or above."""
    variance_weight: float | None = None
    """vicreg: weight of the deviations that are below 1; 0 or above."""
    covariance_weight: float | None = None
    """vicreg: weight of the covariances; 0 or above."""
    off_diagonal_weight: float | None = None
    """barlow_twins: weight of the correlations between different dimensions; 0 or above."""
    drop_false_negatives: Literal["no", "yes", "rescaled"] = "no"
    """nt_xent, debiased_*: labels take images of one class out of the negatives, an experiment."""
    projection_hidden: int | None = 512
    """Width of the projection head's hidden layer; None: the head is one linear layer."""
    projection_dim: int = 128
    """Width of the embeddings that the objective compares."""


@dataclass(frozen=True)
class SupConConfig:
    """SupCon (Khosla et al. 2020): views of all images of a class near, other classes far."""

    name: Literal["supcon"] = "supcon"
    """Names the method in `config.json`."""
    temperature: float = 0.1
    """Divides cosine similarities in the loss; above 0."""
    kind: Literal["out", "in"] = "out"
    """Mean over positives outside the logarithm, as its authors recommend, or inside."""
    projection_hidden: int = 512
    """Width of the projection head's hidden layer."""
    projection_dim: int = 128
    """Width of the embedding that the loss compares."""


@dataclass(frozen=True)
class CrossEntropyConfig:
    """Cross-entropy: the supervised baseline, a linear classifier on the encoder."""

    name: Literal["cross-entropy"] = "cross-entropy"
    """Names the method in `config.json`."""


@dataclass(frozen=True)
class BalancedSoftmaxConfig:
    """Balanced softmax (Ren et al. 2020): cross-entropy that knows how often each class occurs."""

    name: Literal["balanced-softmax"] = "balanced-softmax"
    """Names the method in `config.json`."""


@dataclass(frozen=True)
class MoCoConfig:
    """MoCo v1 and v2 (He et al. 2020, Chen et al. 2020): a query near its key, far from a queue."""

    name: Literal["moco"] = "moco"
    """Names the method in `config.json`."""
    head: Literal["linear", "mlp"] = "mlp"
    """linear is v1's, mlp v2's, with a hidden layer."""
    projection_hidden: int | None = None
    """Width of the mlp head's hidden layer; left out, that of the features."""
    projection_dim: int = 128
    """Width of the embedding that the loss compares."""
    temperature: float = 0.2
    """Divides cosine similarities in the loss; above 0. v1 has 0.07."""
    queue_size: int = 65536
    """Most keys of earlier steps that are negatives."""
    momentum: float = 0.999
    """Share of its weights that the key encoder keeps at each step; 0 to 1."""
    symmetric: bool = False
    """Add the loss with the views exchanged; each step then adds both views' keys to the queue."""
    batch_norm_splits: int = 1
    """Parts of a rank's batch that batch-norm normalises apart, keys in random order; 1: whole."""


@dataclass(frozen=True)
class BYOLConfig:
    """BYOL (Grill et al. 2020): predict a slow target network's view; no negatives."""

    name: Literal["byol"] = "byol"
    """Names the method in `config.json`."""
    projection_hidden: int = 4096
    """Width of the projector's hidden layer."""
    projection_dim: int = 256
    """Width of the embedding that is predicted."""
    prediction_hidden: int = 4096
    """Width of the predictor's hidden layer."""
    momentum: float = 0.996
    """Share of its weights that the target keeps at the first step; rises to 1. 0 to 1."""


@dataclass(frozen=True)
class PaCoConfig:
    """PaCo (Cui et al. 2021): supervised contrast with a queue and a centre for every class."""

    name: Literal["paco"] = "paco"
    """Names the method in `config.json`."""
    temperature: float = 0.2
    """Divides cosine similarities of samples, not the centres' logits; above 0."""
    alpha: float = 0.05
    """Weight of a positive sample beside its class's centre, which weighs 1; above 0."""
    normalisation: Literal["sum", "mean"] = "mean"
    """sum as the paper writes the loss; mean divides by the weights, as its program does."""
    queue_size: int = 8192
    """Most keys of earlier steps that are candidates."""
    momentum: float = 0.999
    """Share of its weights that the key encoder keeps at each step; 0 to 1."""
    head: Literal["batch-norm", "three-layer"] = "batch-norm"
    """batch-norm is SimCLR's, with one hidden layer; three-layer its program's, with two."""
    projection_hidden: int = 512
    """Width of each hidden layer of the projection head."""
    projection_dim: int = 128
    """Width of the embedding that samples are compared by."""


@dataclass(frozen=True)
class CPCConfig:
    """CPC (van den Oord et al. 2018): predict later steps of a series, or of an image's rows."""

    name: Literal["cpc"] = "cpc"
    """Names the method in `config.json`."""
    prediction_steps: int = 5
    """How many steps ahead are predicted, 1 up to one less than the encoder gives."""
    patch_crop: float = 1.0
    """patch-gru: side of a random crop of each patch, put back at a random place, over the patch's
    side; 1 leaves patches as they are."""
    patch_jitter: float = 0.0
    """patch-gru: deviation of each patch's own brightness, in deviations of the images, and of the
    logarithm of its contrast."""


MethodConfig = (
    SimCLRConfig
    | MoCoConfig
    | BYOLConfig
    | SupConConfig
    | CrossEntropyConfig
    | BalancedSoftmaxConfig
    | PaCoConfig
    | CPCConfig
)
"""Any method's settings."""
