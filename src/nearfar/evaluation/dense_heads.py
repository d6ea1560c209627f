"""Heads that answer for each pixel from features by place, and how they are trained."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW

from nearfar.data.batches import TrainingBatches, evaluation_batches
from nearfar.data.source import Examples, StreamedExamples, Targets, examples_at
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.evaluation.dense_specs import HeadKind
from nearfar.evaluation.features import frozen
from nearfar.evaluation.judged import Told, silent
from nearfar.training.generators import OwnDraws
from nearfar.training.parameter_groups import set_learning_rate
from nearfar.training.schedules import CosineSpec

HIDDEN = 64
"""Channels of the convolutional head's first layer; its second has half of them."""
_MOST_HELD = 2**31
"""Bytes of maps that are held; larger ones are computed anew in each epoch."""
_SCHEDULE = CosineSpec(warmup_share=0.05)

Maps = Float[Tensor, "batch dim h w"]
Loss = Callable[[Tensor, Tensor], Tensor]
"""Of what a head gives, `(batch, outputs, height, width)`, and of the targets."""


class Places(nn.Module):
    """What makes features by place of images as they are.

    Args:
        encoder: On its device; None for patches of the images themselves.
        stage: Which of the encoder's stages.
        patch: Side of such a patch in pixels.
    """

    def __init__(self, encoder: SavedEncoder | None, stage: int, patch: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.stage = stage
        self.patch = patch

    def forward(self, images: Shaped[Tensor, "batch c height width"]) -> Maps:
        """Maps in float32."""
        if self.encoder is None:
            return raw_patches(images, self.patch)
        return self.encoder.dense(images, self.stage).float()


def raw_patches(images: Shaped[Tensor, "batch c height width"], side: int) -> Maps:
    """The pixels of patches as features of their places.

    Args:
        images: 0 to 255; where their sides are no multiples of the patch's, they are scaled to the
            nearest ones.
        side: Of a patch, in pixels.
    """
    pixels = images.float() / 255
    sides = [max(1, round(each / side)) * side for each in pixels.shape[2:]]
    if sides != list(pixels.shape[2:]):
        pixels = F.interpolate(pixels, sides, mode="bilinear", antialias=True)
    return F.pixel_unshuffle(pixels, side)


class DenseHead(nn.Module):
    """Standardised features of places to outputs of pixels.

    Args:
        kind: linear: one 1×1 convolution. conv: 3×3 convolutions to 64, 32 and the outputs, each
            after the first at twice the sides.
        mean: `(dim,)` of the training maps; deviation likewise.
        outputs: A pixel's.
        side: Height and width of what it gives.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        kind: HeadKind,
        mean: Float[Tensor, " dim"],
        deviation: Float[Tensor, " dim"],
        outputs: int,
        side: tuple[int, int],
    ) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("deviation", deviation[:, None, None])
        last = nn.Conv2d(len(mean), outputs, 1)
        self.layers = nn.Sequential(last)
        if kind == "conv":
            last = nn.Conv2d(HIDDEN // 2, outputs, 3, padding=1)
            self.layers = nn.Sequential(
                nn.Conv2d(len(mean), HIDDEN, 3, padding=1),
                nn.ReLU(),
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(HIDDEN, HIDDEN // 2, 3, padding=1),
                nn.ReLU(),
                nn.Upsample(scale_factor=2, mode="bilinear"),
                last,
            )
        nn.init.zeros_(last.weight)
        assert last.bias is not None
        nn.init.zeros_(last.bias)

    def forward(self, maps: Maps) -> Float[Tensor, "batch outputs height width"]:
        """Outputs for every pixel, between places by straight lines."""
        given = self.layers((maps - self.mean) / self.deviation)
        return F.interpolate(given, self.side, mode="bilinear")


@dataclass(frozen=True)
class Course:
    """How heads are trained: AdamW, the rate up for a twentieth and then down along a cosine.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images of a step; all where there are fewer.
        rate: The highest.
        weight_decay: Of the weights.
    """

    epochs: int
    batch_size: int
    rate: float
    weight_decay: float


@dataclass(frozen=True)
class Task:
    """What a head is to learn of some images.

    Attributes:
        images: As the encoder takes them.
        targets: Of each, as the loss takes them.
        loss: What is made small.
        outputs: A pixel's.
        device: Where the encoder is.
        workers: Processes that decode streamed images.
    """

    images: Examples
    targets: Targets
    loss: Loss
    outputs: int
    device: torch.device
    workers: int = 0

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of the targets."""
        shape = self.targets.shape
        return (shape[-2], shape[-1])

    def of(self, indices: Tensor) -> Tensor:
        """Targets of some images, on the device."""
        return gathered(self.targets, indices).to(self.device)


def gathered(examples: Examples, indices: Tensor) -> Tensor:
    """Some examples in one tensor, of those in memory or streamed."""
    if isinstance(examples, StreamedExamples):
        return torch.stack([examples[int(index)] for index in indices])
    return examples[indices.to(examples.device)]


class _Moments:
    """Mean and deviation of each channel over all places of all maps, in float64."""

    def __init__(self) -> None:
        self.count = 0
        # Less the mean of the first batch, so that squares of large values cost no digits.
        self.base = self.total = self.squares = torch.zeros(0)

    def add(self, maps: Maps) -> None:
        """Those of a batch."""
        rows = maps.transpose(0, 1).flatten(1).double()
        if not self.count:
            self.base = rows.mean(dim=1)
            self.total = self.squares = torch.zeros_like(self.base)
        rest = rows - self.base[:, None]
        self.count += rest.shape[1]
        self.total = self.total + rest.sum(dim=1)
        self.squares = self.squares + (rest**2).sum(dim=1)

    def mean_and_deviation(self) -> tuple[Tensor, Tensor]:
        """In float32; 1 is the deviation of a channel that never changes, which so becomes 0."""
        mean = self.total / self.count
        deviation = (self.squares / self.count - mean**2).clamp(min=0).sqrt()
        scale = torch.where(deviation > 0, deviation, 1.0)
        return (mean + self.base).float(), scale.float()


class FrozenMaps:
    """Maps of a task's images by an encoder that stays as it is: held where they are small enough.

    Args:
        places: What makes them.
        task: Whose images.
    """

    def __init__(self, places: Places, task: Task) -> None:
        self.places, self.task = places, task
        kept: list[Tensor] | None = []
        moments = _Moments()
        for maps in self._all():
            moments.add(maps)
            if kept is not None and maps[0].numel() * 4 * len(task.images) <= _MOST_HELD:
                kept.append(maps.cpu())
            else:
                kept = None
        self.mean, self.deviation = moments.mean_and_deviation()
        self.held = None if kept is None else torch.cat(kept).clone()

    def _all(self) -> Iterator[Tensor]:
        batches = evaluation_batches(
            self.task.images, batch_size=256, device=self.task.device, workers=self.task.workers
        )
        with frozen(self.places):
            for images, _ in batches:
                yield self.places(images)

    def batches(self, course: Course, seed: int, rows: Tensor) -> TrainingBatches:
        """Batches of some of the images, or of what is held of them.

        Args:
            course: Their size.
            seed: Of the order.
            rows: Of the images.
        """
        return batches_of(self.task, course, seed, rows, self.held)

    def epoch(self, batches: TrainingBatches, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Maps and targets of the batches of an epoch."""
        for given, _, indices in batches.epoch(number):
            if self.held is not None:
                yield given, self.task.of(indices)
                continue
            with frozen(self.places):
                maps = self.places(given)
            yield maps.clone(), self.task.of(indices)


def batches_of(
    task: Task, course: Course, seed: int, rows: Tensor, held: Tensor | None = None
) -> TrainingBatches:
    """Batches of images, or of what is held of them, with their numbers among all.

    Args:
        task: Whose images.
        course: Size of the batches; of all at once where there are fewer.
        seed: Of the order.
        rows: Which images.
        held: Maps of all images.
    """
    examples = task.images if held is None else held
    return TrainingBatches(
        examples if len(rows) == len(examples) else examples_at(examples, rows),
        None,
        batch_size=min(course.batch_size, len(rows)),
        seed=seed,
        device=task.device,
        workers=task.workers if held is None else 0,
        numbers=rows,
    )


def train_heads(
    maps: FrozenMaps,
    kind: HeadKind,
    courses: Sequence[Course],
    rows: Tensor,
    *,
    seed: int,
    told: Told = silent,
) -> list[DenseHead]:
    """A head for each course, all on the same maps in the same order.

    Args:
        maps: Of the training part.
        kind: Which head.
        courses: They differ in their rates alone.
        rows: Which images are learnt from.
        seed: Of first weights and order.
        told: Told how far it is.
    """
    task = maps.task
    heads = [new_head(kind, maps, seed) for _ in courses]
    optimizers = [
        AdamW(head.parameters(), lr=course.rate, weight_decay=course.weight_decay)
        for head, course in zip(heads, courses, strict=True)
    ]
    epochs = courses[0].epochs
    batches = maps.batches(courses[0], seed, rows)
    total, step = epochs * batches.steps_per_epoch, 0
    with OwnDraws(seed, task.device), torch.enable_grad():
        for epoch in range(epochs):
            for given, targets in maps.epoch(batches, epoch):
                for head, optimizer, course in zip(heads, optimizers, courses, strict=True):
                    rate = _SCHEDULE.rate_at(step, peak=course.rate, total_steps=total)
                    set_learning_rate(optimizer, rate)
                    optimizer.zero_grad(set_to_none=True)
                    task.loss(head(given), targets).backward()
                    optimizer.step()
                step += 1
            told(f"epoch {epoch + 1} of {epochs}", (epoch + 1) / epochs)
    return heads


def new_head(kind: HeadKind, maps: FrozenMaps, seed: int) -> DenseHead:
    """A head that answers 0 everywhere, on the maps' device."""
    task = maps.task
    with OwnDraws(seed, task.device):
        head = DenseHead(kind, maps.mean, maps.deviation, task.outputs, task.side)
    return head.to(task.device)


def train_whole(
    places: Places,
    maps: FrozenMaps,
    kind: HeadKind,
    course: Course,
    *,
    seed: int,
    told: Told = silent,
) -> tuple[Places, DenseHead]:
    """A copy of the encoder and a head, trained together.

    Args:
        places: With an encoder, which stays as it is.
        maps: Of the training part, from its weights.
        kind: Which head.
        course: How.
        seed: Of first weights and order.
        told: Told how far it is.
    """
    task = maps.task
    network, head = copy.deepcopy(places).requires_grad_(True), new_head(kind, maps, seed)
    both = nn.ModuleList([network, head])
    optimizer = AdamW(both.parameters(), lr=course.rate, weight_decay=course.weight_decay)
    batches = batches_of(task, course, seed, torch.arange(len(task.images)))
    total, step = course.epochs * batches.steps_per_epoch, 0
    both.train()
    with OwnDraws(seed, task.device), torch.enable_grad():
        for epoch in range(course.epochs):
            for images, _, indices in batches.epoch(epoch):
                rate = _SCHEDULE.rate_at(step, peak=course.rate, total_steps=total)
                set_learning_rate(optimizer, rate)
                optimizer.zero_grad(set_to_none=True)
                task.loss(head(network(images)), task.of(indices)).backward()
                optimizer.step()
                step += 1
            told(f"epoch {epoch + 1} of {course.epochs}", (epoch + 1) / course.epochs)
    both.eval()
    return network, head


def best_rate(
    maps: FrozenMaps, kind: HeadKind, courses: Sequence[Course], *, seed: int, told: Told
) -> Course:
    """The course whose head errs least on a fifth of the training images that it did not see."""
    count = len(maps.task.images)
    held = count // 5
    if len(courses) == 1 or not held:
        return courses[len(courses) // 2]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    fitting, choosing = order[held:].sort().values, order[:held].sort().values
    heads = train_heads(maps, kind, courses, fitting, seed=seed, told=told)
    lost = torch.zeros(len(heads), dtype=torch.float64)
    whole = replace(courses[0], batch_size=min(256, held))
    with torch.inference_mode():
        for given, targets in maps.epoch(maps.batches(whole, seed, choosing), 0):
            lost += torch.stack(
                [maps.task.loss(head(given), targets).double() for head in heads]
            ).cpu()
    scores = [each if math.isfinite(each) else math.inf for each in lost.tolist()]
    return courses[min(range(len(courses)), key=scores.__getitem__)]
