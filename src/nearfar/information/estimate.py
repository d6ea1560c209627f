"""Mutual information of paired samples, by bounds whose critics learn, and how far to trust it."""

import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata

import numpy as np
import torch
from numpy.typing import ArrayLike
from rich.console import Console
from scipy.stats import t as student_t
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.estimators.discrete import label_entropy
from nearfar.estimators.specs import BoundSpec, CriticBoundSpec
from nearfar.information import reliability
from nearfar.information.critics import Perceptron, build_critic, side_of
from nearfar.information.fitting import (
    BoundLearner,
    Fitted,
    LabelLearner,
    Learner,
    estimates_on,
    fit,
)
from nearfar.information.ksg import LARGEST_DIMENSION, ksg, ksg_of_labels
from nearfar.information.result import (
    BoundEstimate,
    EstimationSettings,
    MutualInformation,
    PartSizes,
)
from nearfar.information.samples import (
    Parts,
    Samples,
    Scaled,
    batches,
    paired_samples,
    repeated_in,
    split,
)
from nearfar.information.specs import CriticSpec, EstimationSpec
from nearfar.torch_defaults import own_defaults
from nearfar.training.generators import OwnDraws
from nearfar.training.hardware import choose_hardware
from nearfar.training.progress import LiveLine, clock

_CONFIDENCE = 0.95
_PACKAGES = ("nearfar", "torch", "numpy", "scipy")


# Critics learn, whatever the caller has forbidden around the call.
@own_defaults()
def estimate_mi(
    x: ArrayLike | Tensor,
    z: ArrayLike | Tensor,
    *,
    bounds: Sequence[str] = EstimationSpec.bounds,
    critic: CriticSpec = EstimationSpec.critic,
    batch_size: int = EstimationSpec.batch_size,
    max_steps: int = EstimationSpec.max_steps,
    learning_rate: float = EstimationSpec.learning_rate,
    seed: int = EstimationSpec.seed,
    device: str = "auto",
    console: Console | None = None,
) -> MutualInformation:
    """Mutual information of x and z from independent pairs of both, in nats.

    The pairs are shuffled into three disjoint parts: critics learn from the first (60 %), stop by
    the second (15 %), and the third (25 %) gives the values. Each bound trains a critic of its own.
    The cross-check takes columns of numbers by their normal scores, critics those with heavy tails;
    this leaves the information as it is, and neither units nor outliers count.

    Args:
        x: `(n,)` or `(n, …)` real numbers; further dimensions are flattened.
        z: Likewise, row by row the partners of x; or `(n,)` whole numbers or strings, which are
            labels: Barber and Agakov's bound by a classifier is then estimated too.
        bounds: Names from `nearfar.estimators.specs`.
        critic: Kind and size of the networks.
        batch_size: N: the pairs that are scored with each other, in training and in the values;
            InfoNCE cannot exceed log N. The samples must be 8 N or more.
        max_steps: Steps of Adam at most; training stops earlier where 1000 steps brought nothing.
        learning_rate: Of Adam, above 0.
        seed: Decides the parts, the first weights and the order: the same values again.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        console: Shows the progress there.

    Returns:
        One estimate for each bound with interval, curve and warnings; the cross-check by nearest
        neighbours (KSG) where x and z have at most 5 columns; log N.

    Raises:
        NearfarError: The samples are no pairs, too few, masked, not finite, constant, or of one
            class.
        SettingError: A bound is not known, or a setting is out of range.
    """
    spec = EstimationSpec(
        bounds=tuple(bounds),
        batch_size=batch_size,
        max_steps=max_steps,
        learning_rate=learning_rate,
        critic=critic,
        seed=seed,
    )
    begun = time.monotonic()
    hardware = choose_hardware(device, "fp32")
    samples = paired_samples(x, z)
    wanted = _wanted(spec.bounds, labelled=samples.classes is not None)
    settings = EstimationSettings(
        batch_size=batch_size,
        max_steps=max_steps,
        learning_rate=learning_rate,
        seed=seed,
        critic=critic,
        device=hardware.summary,
    )
    split_seed, ksg_seed, weights_seed, order_seed = (
        int(word) for word in np.random.SeedSequence(seed).generate_state(4)
    )
    parts = split(len(samples), batch_size, split_seed)
    sides = {"x": samples.x} | ({} if samples.classes else {"z": samples.z})
    warnings = (
        reliability.repeated(repeated_in(samples, parts.test, parts.training), len(parts.test)),
        *(reliability.heavy_tails(name, side.numpy()) for name, side in sides.items()),
    )
    by_neighbours = _ksg(samples, ksg_seed)
    entropy = None if samples.classes is None else float(label_entropy(samples.z))
    scaled = replace(
        samples, **{name: Scaled(side[parts.training])(side) for name, side in sides.items()}
    )
    on_device = replace(scaled, x=scaled.x.to(hardware.device), z=scaled.z.to(hardware.device))
    placed = Parts(*(part.to(hardware.device) for part in vars(parts).values()))

    estimates = []
    with EstimationProgress(console, len(wanted), max_steps) as progress:
        for bound in wanted:
            progress.begin(bound.title)
            learner = _learner(bound, on_device, placed, critic, entropy, weights_seed)
            fitted = fit(
                learner.to(hardware.device),
                on_device,
                placed,
                batch_size=batch_size,
                max_steps=max_steps,
                learning_rate=learning_rate,
                seed=order_seed,
                tell=progress.step,
            )
            estimates.append(
                _judged(bound, fitted, on_device, placed, settings, ksg_value=by_neighbours)
            )
    return MutualInformation(
        names=("x", "z"),
        estimates=tuple(estimates),
        ceiling=float(np.log(batch_size)),
        ksg=by_neighbours,
        label_entropy=entropy,
        features=samples.x.shape[1],
        other_features=None if samples.classes is not None else samples.z.shape[1],
        classes=samples.classes,
        samples=PartSizes(*(len(part) for part in vars(parts).values())),
        warnings=tuple(warning for warning in warnings if warning is not None),
        settings=settings,
        versions={package: metadata.version(package) for package in _PACKAGES},
        seconds=round(time.monotonic() - begun, 3),
    )


def _wanted(names: Sequence[str], *, labelled: bool) -> list[BoundSpec]:
    """The bounds to estimate; those by a classifier come last, and always where z is a label."""
    bounds = [BoundSpec.named(name)() for name in names]
    by_critic = [bound for bound in bounds if not bound.needs_labels]
    if labelled:
        return by_critic + [kind() for kind in BoundSpec.known().values() if kind.needs_labels]
    for bound in bounds:
        if bound.needs_labels:
            raise SettingError(f"{bound.name} needs labels as z: whole numbers or strings, (n,)")
    return by_critic


def _ksg(samples: Samples, seed: int) -> float | None:
    """The cross-check by nearest neighbours; None beyond its dimension."""
    if samples.x.shape[1] > LARGEST_DIMENSION:
        return None
    if samples.classes is not None:
        return ksg_of_labels(samples.x.numpy(), samples.z.numpy(), seed=seed)
    if samples.z.shape[1] > LARGEST_DIMENSION:
        return None
    return ksg(samples.x.numpy(), samples.z.numpy(), seed=seed)


def _learner(
    bound: BoundSpec,
    samples: Samples,
    parts: Parts,
    config: CriticSpec,
    entropy: float | None,
    seed: int,
) -> Learner:
    """What is trained for a bound, with first weights that depend on the seed alone."""
    x = side_of(samples.x[parts.training], None)
    with OwnDraws(seed):
        if not isinstance(bound, CriticBoundSpec):
            assert samples.classes is not None
            assert entropy is not None
            return LabelLearner(Perceptron(x, config, samples.classes), entropy)
        z = side_of(samples.z[parts.training], samples.classes)
        baseline = Perceptron(z, config, 1) if bound.needs_baseline else None
        return BoundLearner(bound, build_critic(config, x, z), baseline)


def _effective_samples(
    learner: Learner, samples: Samples, held_out: Sequence[Tensor]
) -> float | None:
    """How many of the test samples the mean of exponentials rests on; None where there is none."""
    with torch.no_grad():
        weights = [learner.log_weights(samples.x[batch], samples.z[batch]) for batch in held_out]
    known = [each for each in weights if each is not None]
    return reliability.effective_samples(torch.cat(known)) if known else None


def _judged(
    bound: BoundSpec,
    fitted: Fitted,
    samples: Samples,
    parts: Parts,
    settings: EstimationSettings,
    *,
    ksg_value: float | None,
) -> BoundEstimate:
    """The value on the test part, and whatever speaks against it."""
    size = settings.batch_size
    held_out = batches(parts.test, size)
    learnt_from = batches(parts.training, size)[: len(held_out)]
    sd, mean = torch.std_mean(estimates_on(fitted.learner, samples, held_out))
    value = float(mean)
    half_width = float(
        sd * student_t.ppf((1 + _CONFIDENCE) / 2, len(held_out) - 1) / len(held_out) ** 0.5
    )
    training_value = float(estimates_on(fitted.learner, samples, learnt_from).mean())
    effective = _effective_samples(fitted.learner, samples, held_out)
    reasons = (
        reliability.near_ceiling(value, size) if bound.limited_by_batch else None,
        reliability.dominated(effective, len(held_out) * size),
        reliability.over_fitted(training_value, value, half_width),
        reliability.still_rising(fitted.curve, settings.max_steps),
        reliability.broke(fitted.broke_at, fitted.best_step),
        reliability.far_from_ksg(value, ksg_value),
    )
    return BoundEstimate(
        bound=bound.name,
        title=bound.title,
        value=value,
        interval=(value - half_width, value + half_width),
        sd=float(sd),
        batches=len(held_out),
        is_lower_bound=bound.valid_bound,
        limited_by_batch=bound.limited_by_batch,
        steps=fitted.steps,
        best_step=fitted.best_step,
        training_value=training_value,
        effective_samples=effective,
        curve=fitted.curve,
        warnings=tuple(reason for reason in reasons if reason is not None),
    )


class EstimationProgress:
    """Shows the bound, its value on validation, steps a second and the most time that is left.

    Early stopping may end any bound before its last step, so the time left is an upper limit.
    """

    def __init__(self, console: Console | None, bounds: int, max_steps: int) -> None:
        self._bounds = bounds
        self._max_steps = max_steps
        self._begun_bounds = self._steps = 0
        self._title = ""
        self._started = time.monotonic()
        self._line = LiveLine(console, bounds * max_steps, transient=True)

    def __enter__(self) -> "EstimationProgress":
        self._line.__enter__()
        return self

    def __exit__(self, *raised: object) -> None:
        self._line.__exit__(*raised)

    def begin(self, title: str) -> None:
        """The next bound."""
        self._begun_bounds += 1
        self._title = f"{title} ({self._begun_bounds}/{self._bounds})"

    def step(self, step: int, value: float) -> None:
        """Show that `step` steps of this bound are taken, as often as a person can follow."""
        self._steps += 1
        if not self._line.due():
            return
        rate = self._steps / max(time.monotonic() - self._started, 1e-9)
        done = (self._begun_bounds - 1) * self._max_steps + step
        left = self._bounds * self._max_steps - done
        self._line.show(
            done,
            f"{self._title} · step {step}/{self._max_steps}",
            f"{value:.2f} nats on validation · {rate:,.0f} steps/s · "
            f"at most {clock(left / rate)} left",
        )
