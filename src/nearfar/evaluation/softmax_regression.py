"""Multinomial logistic regression to a stated distance from its minimum, for many features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from scipy.optimize import minimize
from torch import Tensor

from nearfar.evaluation.forms import MOST_FEATURES, principal_axes
from nearfar.similarity.threads import on_one_core

GAP = 1e-4
"""Nats above the minimum at which a fit may rest, by the bound ‖gradient‖² / (2 l2)."""
MAX_STEPS = 2_000
"""Steps of L-BFGS at most: against endless work, not to save time."""
ROUND = 40
"""Steps after which the scales of the axes are measured anew, because the curvature has changed."""
SMALL = 2**20
"""Values of features up to which a fit runs on one core: its thousands of small products would make
threads wait for each other longer than they compute."""
BLOCK = 2**24
"""Logits that exist at a time (64 MiB)."""


@dataclass(frozen=True)
class SoftmaxFit:
    """The weights of a fit.

    Attributes:
        weight: `(classes, dim)`; zeros for a class without examples.
        bias: `(classes,)`; minus infinity for a class without examples.
        converged: Whether the gradient is small enough for `gap`.
        steps: Steps of L-BFGS.
    """

    weight: Float64[Tensor, "classes dim"]
    bias: Float64[Tensor, " classes"]
    converged: bool
    steps: int


class SoftmaxRegression:
    """Fits of one set of examples: mean cross-entropy (nats) + l2/2 ‖weight‖², the bias free.

    What is minimised is convex, and l2-strongly so in the weights: a gradient of norm g is at most
    g² / (2 l2) above the minimum. That bound, and no number of steps, says when a fit rests. It is
    reached in tens of steps instead of thousands because L-BFGS works in the features' principal
    axes (which leaves the problem the same), each divided by the root of its own curvature, about
    λ · mean p (1 − p) + l2.

    Args:
        features: `(n, dim)`, centred, of mean squared length about 1.
        labels: `(n,)`, two classes or more of them.
        num_classes: Rows of the weights.
        axes: Orthonormal columns near the features' principal axes; found where left out.
        balanced: The mean is over classes, of the mean over each class's examples, so that a class
            weighs the same however many examples it has.
    """

    def __init__(
        self,
        features: Float[Tensor, "n dim"],
        labels: Int64[Tensor, " n"],
        *,
        num_classes: int,
        axes: Float[Tensor, "dim dim"] | None = None,
        balanced: bool = False,
    ) -> None:
        count, dim = features.shape
        if axes is None and min(count, dim) <= MOST_FEATURES:
            axes, _ = principal_axes(features)
        # Of few examples the axes are as many: the minimum lies where the examples do.
        self.axes = axes
        self.rows = features if axes is None else features @ axes
        self.present, self.labels = torch.unique(labels, return_inverse=True)
        self.num_classes = num_classes
        sizes = torch.bincount(self.labels).double()
        self.class_weights = (len(labels) / len(sizes) / sizes) if balanced else None
        # In double: squares of small features underflow in float32.
        self.variance = self.rows.double().square().mean(dim=0)

    def fit(
        self,
        l2: float,
        *,
        start: SoftmaxFit | None = None,
        gap: float = GAP,
        told: Callable[[int, float], None] = lambda *_: None,
    ) -> SoftmaxFit:
        """The minimum, to within `gap`.

        Args:
            l2: Above 0.
            start: Weights to begin at, such as those of a stronger penalty.
            gap: Nats above the minimum that may remain.
            told: Called after every step with their number and the gradient's norm as a multiple
                of the one at which the fit rests.
        """
        if self.rows.numel() <= SMALL:
            return on_one_core(lambda: self._fit(l2, start, gap, told), self.rows.device)
        return self._fit(l2, start, gap, told)

    def _fit(
        self, l2: float, start: SoftmaxFit | None, gap: float, told: Callable[[int, float], None]
    ) -> SoftmaxFit:
        """The minimum, on as many cores as this thread has."""
        weight, bias = self._start(start)
        wanted = (2 * l2 * gap) ** 0.5
        steps, dtype, converged = 0, torch.float32, False
        while not converged and steps < MAX_STEPS:
            before = steps
            weight, bias, norm, steps = self._round(weight, bias, l2, wanted, dtype, steps, told)
            converged = norm <= wanted
            if steps - before < ROUND and not converged:
                # Products in float32 are too rough for the last steps.
                if dtype == torch.float64:
                    break
                dtype = torch.float64
        return self._found(weight, bias, converged, steps)

    def _round(
        self,
        weight: Float64[Tensor, "present r"],
        bias: Float64[Tensor, " present"],
        l2: float,
        wanted: float,
        dtype: torch.dtype,
        steps: int,
        told: Callable[[int, float], None],
    ) -> tuple[Tensor, Tensor, float, int]:
        """Some steps of L-BFGS, scaled by the curvature where they begin.

        Returns:
            Weights, biases, the gradient's norm, and all steps so far.
        """
        rows = self.rows.to(dtype)
        classes, dim = weight.shape
        curvature = self._uncertainty(rows, weight, bias)
        # The bias, last, has the curvature of a feature that is 1 everywhere.
        variance = torch.cat([self.variance, self.variance.new_ones(1)])
        scale = (curvature * variance + l2).rsqrt()
        norm, before = np.inf, steps

        def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
            nonlocal norm
            table = torch.from_numpy(flat).view(classes, dim + 1) * scale
            weight = table[:, :dim]
            loss, by_weight, by_bias = self._loss(rows, weight, table[:, dim])
            loss += l2 / 2 * float(weight.square().sum())
            by_weight += l2 * weight
            norm = float((by_weight.square().sum() + by_bias.square().sum()).sqrt())
            gradient = torch.cat([by_weight, by_bias[:, None]], dim=1) * scale
            return loss, gradient.view(-1).numpy()

        def step(_: np.ndarray) -> None:
            nonlocal steps
            steps += 1
            told(steps, norm / wanted)
            if norm <= wanted or steps - before >= ROUND or steps >= MAX_STEPS:
                raise StopIteration

        found = minimize(
            objective,
            (torch.cat([weight, bias[:, None]], dim=1) / scale).view(-1).numpy(),
            jac=True,
            method="L-BFGS-B",
            callback=step,
            options={"maxiter": ROUND, "maxfun": 10 * ROUND, "gtol": 0, "ftol": 0, "maxcor": 20},
        )
        objective(found.x)
        table = torch.from_numpy(found.x).view(classes, dim + 1) * scale
        return table[:, :dim], table[:, dim], norm, steps

    def _uncertainty(
        self, rows: Tensor, weight: Float64[Tensor, "present r"], bias: Float64[Tensor, " present"]
    ) -> float:
        """Mean of p (1 − p) over rows and classes: how curved the cross-entropy is here."""
        block = max(1, BLOCK // len(bias))
        total = 0.0
        for some in rows.split(block):
            p = torch.softmax(torch.addmm(bias.to(rows), some, weight.T.to(rows)), dim=1)
            total += float((p * (1 - p)).double().sum())
        return total / (len(rows) * len(bias))

    def _start(
        self, start: SoftmaxFit | None
    ) -> tuple[Float64[Tensor, "present r"], Float64[Tensor, " present"]]:
        """Weights and bias in the axes; at the beginning, what the sizes of classes say."""
        if start is None:
            sizes = torch.bincount(self.labels, minlength=len(self.present)).double()
            if self.class_weights is not None:
                sizes = sizes * self.class_weights  # all alike
            return torch.zeros(len(sizes), self.rows.shape[1], dtype=torch.float64), sizes.log()
        weight, bias = start.weight[self.present], start.bias[self.present]
        if self.axes is not None:
            weight = weight @ self.axes.double()
        return weight, torch.where(bias.isfinite(), bias, bias[bias.isfinite()].min())

    def _loss(
        self, rows: Tensor, weight: Float64[Tensor, "present r"], bias: Float64[Tensor, " present"]
    ) -> tuple[float, Tensor, Tensor]:
        """Mean cross-entropy, of examples or of classes, and its gradient, in double."""
        weight, bias = weight.to(rows.dtype), bias.to(rows.dtype)
        loss, by_weight = 0.0, torch.zeros(weight.shape, dtype=torch.float64)
        by_bias = torch.zeros(bias.shape, dtype=torch.float64)
        block = max(1, BLOCK // len(bias))
        for some, labels in zip(rows.split(block), self.labels.split(block), strict=True):
            log_p = torch.log_softmax(torch.addmm(bias, some, weight.T), dim=1)
            own = labels[:, None]
            likely = log_p.gather(1, own)
            error = log_p.exp_()
            error.scatter_add_(1, own, error.new_full((1, 1), -1).expand_as(own))
            if self.class_weights is not None:
                weights = self.class_weights[own].to(error)
                likely, error = likely * weights, error * weights
            loss -= float(likely.double().sum())
            by_weight += (error.T @ some).double()
            by_bias += error.double().sum(dim=0)
        return loss / len(rows), by_weight / len(rows), by_bias / len(rows)

    def _found(self, weight: Tensor, bias: Tensor, converged: bool, steps: int) -> SoftmaxFit:
        """The weights in the features' own columns, of all classes."""
        if self.axes is not None:
            weight = weight @ self.axes.double().T
        every = torch.zeros(self.num_classes, weight.shape[1], dtype=torch.float64)
        biases = torch.full((self.num_classes,), -torch.inf, dtype=torch.float64)
        every[self.present], biases[self.present] = weight, bias
        return SoftmaxFit(every, biases, converged, steps)
