"""A linear classifier on frozen features, its L2 penalty chosen on training data alone."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from nearfar.errors import NearfarError

PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""L2 penalties tried, strongest first."""
CHOICE_SHARE = 0.2
"""Share of the training images that chooses the penalty."""
CHOICE_LIMIT = 20_000
"""Training images that the choice uses at most; the final fit uses all."""
MAX_ITERATIONS = 200
"""Steps of L-BFGS at most."""
TOLERANCE = 1e-5
"""Largest entry of the gradient (nats) at which L-BFGS comes to rest."""


@dataclass(frozen=True)
class Scaling:
    """Brings rows to length 1, then takes off their mean and divides by one factor.

    Rows have length 1 because that is what kNN and the contrastive losses look at. There is one
    factor, and not one a dimension, so that a pixel or feature that hardly ever changes is not
    blown up to weigh as much as the others. Afterwards the mean squared length is 1, which gives a
    penalty the same meaning for features of any kind.

    Attributes:
        mean: `(dim,)` of the training features.
        length: Root of the mean squared length of the centred training features.
    """

    mean: Tensor
    length: float

    @classmethod
    def of(cls, features: Float[Tensor, "n dim"]) -> "Scaling":
        """The scaling that training features ask for.

        Args:
            features: Training features; labels are not needed.
        """
        rows = F.normalize(features, dim=1)
        mean = rows.mean(dim=0)
        length = float((rows - mean).square().sum(dim=1).mean().sqrt())
        return cls(mean, length or 1.0)

    def __call__(self, features: Float[Tensor, "m dim"]) -> Float[Tensor, "m dim"]:
        """The scaled features.

        Args:
            features: Training or test features.
        """
        return (F.normalize(features, dim=1) - self.mean) / self.length


@dataclass(frozen=True)
class LinearProbe:
    """A fitted linear classifier.

    Attributes:
        scaling: What is done to features first.
        weight: `(classes, dim)`; a class without training examples has zeros.
        bias: `(classes,)`; minus infinity for a class without training examples.
        l2: The penalty it was fitted with.
        converged: Whether L-BFGS came to rest within `MAX_ITERATIONS`.
    """

    scaling: Scaling
    weight: Tensor
    bias: Tensor
    l2: float
    converged: bool

    def log_probabilities(self, features: Float[Tensor, "m dim"]) -> Float[Tensor, "m classes"]:
        """Log-probability of every class.

        Args:
            features: As they come from the encoder; the probe scales them.
        """
        logits = self.scaling(features) @ self.weight.T + self.bias
        return torch.log_softmax(logits, dim=1)


def fit(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    l2: float,
    scaling: Scaling,
    num_classes: int,
) -> LinearProbe:
    """Multinomial logistic regression: mean cross-entropy (nats) + l2/2 ‖weight‖².

    Args:
        features: Training features as they come from the encoder.
        labels: Their classes.
        l2: Penalty on the weights of scaled features; the bias is free.
        scaling: From the training features.
        num_classes: Columns of the answer.

    Raises:
        NearfarError: If fewer than two classes are present.
    """
    present = torch.unique(labels)
    if len(present) < 2:
        raise NearfarError("a linear probe needs training images of two classes or more: found one")
    count, dim = features.shape
    # scikit-learn's stopping rule wants features of size about 1 a dimension; a factor on the
    # features is the same problem with its square on the penalty.
    factor = dim**0.5
    penalty = l2 * dim
    if len(present) == 2:
        # It then fits the difference w of the two rows alone; as rows ±w/2 they cost half as much.
        penalty /= 2
    model = LogisticRegression(
        C=1 / (penalty * count), max_iter=MAX_ITERATIONS, tol=TOLERANCE, solver="lbfgs"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit((scaling(features) * factor).numpy(), labels.numpy())
    coefficients = torch.from_numpy(np.asarray(model.coef_, dtype=np.float32)) * factor
    intercepts = torch.from_numpy(np.asarray(model.intercept_, dtype=np.float32))
    if len(present) == 2:
        coefficients = torch.cat([-coefficients / 2, coefficients / 2])
        intercepts = torch.cat([-intercepts / 2, intercepts / 2])
    weight = torch.zeros(num_classes, dim)
    bias = torch.full((num_classes,), -torch.inf)
    weight[present] = coefficients
    bias[present] = intercepts
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return LinearProbe(scaling, weight, bias, l2, converged)


def choose_penalty(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    num_classes: int,
    seed: int,
    penalties: Sequence[float] = PENALTIES,
) -> float:
    """The penalty of the probe that errs least on a held-out part of the training data.

    Args:
        features: Training features; test features have no business here.
        labels: Their classes.
        num_classes: Number of classes.
        seed: Seeds the split into fitting and choosing.
        penalties: Tried in this order; of equals in accuracy the lower cross-entropy wins.
    """
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    order = order[:CHOICE_LIMIT]
    held_out = max(1, round(CHOICE_SHARE * len(order)))
    choosing, fitting = order[:held_out], order[held_out:]
    if len(torch.unique(labels[fitting])) < 2:
        return penalties[len(penalties) // 2]
    scaling = Scaling.of(features[fitting])
    scores = []
    for l2 in penalties:
        probe = fit(
            features[fitting], labels[fitting], l2=l2, scaling=scaling, num_classes=num_classes
        )
        log_p = probe.log_probabilities(features[choosing])
        right = (log_p.argmax(dim=1) == labels[choosing]).double().mean()
        own = log_p.gather(1, labels[choosing].unsqueeze(1)).mean()
        scores.append((float(right), float(own)))
    return penalties[max(range(len(penalties)), key=scores.__getitem__)]


def linear_probe(
    features: Float[Tensor, "n dim"],
    labels: Int64[Tensor, " n"],
    *,
    num_classes: int,
    seed: int = 0,
) -> LinearProbe:
    """The linear probe of the literature: choose the penalty, then fit on all training data.

    Args:
        features: Training features as they come from the encoder.
        labels: Their classes.
        num_classes: Number of classes.
        seed: Seeds the split that chooses the penalty.
    """
    l2 = choose_penalty(features, labels, num_classes=num_classes, seed=seed)
    return fit(features, labels, l2=l2, scaling=Scaling.of(features), num_classes=num_classes)
