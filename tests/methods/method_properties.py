"""What every method of the catalogue must be able to do, checked in the same way for each.

Shared by the test of these properties and by `python -m tools.methods_table`, which writes them
down. A method that enters the catalogue is checked without a line here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from tests.methods.labelled_steps import assert_resumes_to_the_same_bits, sgd
from tests.rank_processes import run_on_ranks
from tests.training.tiny_run import TINY
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.data.config import DataConfig
from nearfar.data.digits import load_digits
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError
from nearfar.evaluation.knn import KNNBank
from nearfar.methods.method import Method
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.specs import MethodSpec, MoCoSpec, SimCLRSpec
from nearfar.modality import Modality
from nearfar.recipes.assembly import assemble
from nearfar.recipes.digits import simclr_digits
from nearfar.spec import as_spec
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.loop import train
from nearfar.training.ranks import Ranks
from nearfar.training.run_folder import RunFolder
from nearfar.training.schedules import CosineSpec
from nearfar.views.specs import ViewsSpec

COUNTS = (4, 5)
"""Examples on each of two ranks; no fewer, for batch-norm that is split in two."""
STEPS = 3
PART = 3
"""Most examples embedded at a time."""
CLASSES = 3
EXACT = {"rtol": 1e-10, "atol": 1e-10}
EXAMPLES: dict[Modality, tuple[tuple[int, ...], str]] = {
    "images": ((1, 8, 8), "digits"),
    "series": ((2, 40), "series"),
    "vectors": ((10,), "vectors"),
}
"""Shape of an example of each kind, and the preset of its views."""
SMALL = {
    "projection_hidden": 8,
    "projection_dim": 4,
    "prediction_hidden": 8,
    "queue_size": 11,
    "prediction_steps": 2,
}
"""Sizes of a method's own parts, where it has them: so small that a step is instant."""
LEARNING = {
    "projection_hidden": 128,
    "projection_dim": 64,
    "prediction_hidden": 128,
    "queue_size": 1024,
    "prediction_steps": 2,
    "momentum": 0.9,
}
"""Sizes, and a momentum, for a hundred steps on digits."""

LEARNS = "digits, kNN"
NOT_SO_SOON = "not in ten epochs of views made for SimCLR"
NORMALISED_APART = "batch-norm sees a part of the batch at a time"


@dataclass(frozen=True)
class Case:
    """A method in its default settings, or with one of them changed.

    Attributes:
        title: Its name in the table.
        config: Its settings.
        apart: Properties that make no sense for it, and why.
    """

    title: str
    config: MethodSpec
    apart: dict[str, str] = field(default_factory=dict)

    @property
    def needs_batch_norm(self) -> bool:
        """Whether it is about batch-norm, so that an encoder without does not do."""
        return isinstance(self.config, MoCoSpec) and self.config.batch_norm_splits > 1

    def sized(self, sizes: dict[str, float]) -> MethodSpec:
        """Its settings with those sizes that it has."""
        return replace(self.config, **{k: v for k, v in sizes.items() if hasattr(self.config, k)})

    def encoder(self, modality: Modality, *, width: int = 4) -> EncoderSpec:
        """The first backbone for such examples that the method works with.

        Raises:
            SettingError: Why it works with none.
        """
        refusal = SettingError(f"no backbone takes {modality}")
        for name in EncoderSpec.fitting(modality):
            if name in EncoderSpec.owners("width"):
                config = as_spec(EncoderSpec, {"name": name, "width": width})
                try:
                    self.build(config.build(EXAMPLES[modality][0]))
                except SettingError as error:
                    refusal = error
                else:
                    return config
        raise refusal

    def build(self, encoder: nn.Module, sizes: dict[str, float] | None = None) -> Method:
        """The method around an encoder."""
        counts = torch.full((CLASSES,), 11)
        return self.sized(sizes or SMALL).build(encoder, class_counts=counts)

    def seeded(self, modality: Modality = "images") -> Method:
        """The method with a tiny encoder, the same weights every time."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(5)
            return self.build(self.encoder(modality).build(EXAMPLES[modality][0]))

    def row_by_row(self) -> Method:
        """In float64; each row depends on its own example alone, unless batch-norm is the point."""
        method = self.seeded()
        assert isinstance(method, nn.Module)
        if not self.needs_batch_norm:
            norm_each_row(method)
        return method.double()


def _cases() -> list[Case]:
    """Every method of the catalogue, and settings of which properties depend."""
    apart = {"2 ranks": NORMALISED_APART, "in parts": NORMALISED_APART}
    return [
        *(
            Case(f"`{name}`", kind(), {LEARNS: NOT_SO_SOON} if name == "cpc" else {})
            for name, kind in MethodSpec.choices.items()
        ),
        Case(
            "`simclr`, false negatives dropped",
            SimCLRSpec(objective=NTXentSpec(drop_false_negatives="yes")),
        ),
        Case("`moco`, symmetric", MoCoSpec(symmetric=True)),
        Case("`moco`, batch-norm split in 2", MoCoSpec(batch_norm_splits=2), apart),
    ]


CASES = _cases()


def norm_each_row(module: nn.Module) -> None:
    """Put a norm over each example alone in the place of every batch-norm."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            by_row = nn.GroupNorm(1, child.num_features)
            frozen = child.affine and not child.weight.requires_grad
            setattr(module, name, by_row.requires_grad_(not frozen))
        else:
            norm_each_row(child)


def views_of(step: int) -> tuple[Tensor, ...]:
    """Two views of the global batch of a step."""
    generator = torch.Generator().manual_seed(step)
    examples = torch.randn(sum(COUNTS), *EXAMPLES["images"][0], generator=generator).double()
    noise = torch.randn(2, *examples.shape, generator=generator).double()
    return tuple(examples + each / 2 for each in noise)


def labels_of(step: int) -> Tensor:
    """Of three classes."""
    generator = torch.Generator().manual_seed(100 + step)
    return torch.randint(0, CLASSES, (sum(COUNTS),), generator=generator)


Outcome = tuple[list[Tensor], dict[str, Tensor]]


def whole_steps(case: Case) -> Outcome:
    """Losses and last state of some steps of one process."""
    return _steps(case, _whole, 0, 1)


def _whole(method: Method, views: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The loss, its gradients left in the parameters."""
    loss = method(views, labels)
    loss.backward()
    return loss.detach()


def _steps(case: Case, gradients: Callable, rank: int, world: int) -> Outcome:
    """Steps of a rank's share of each batch."""
    method = case.row_by_row()
    assert isinstance(method, nn.Module)
    optimizer = sgd(method)
    losses = []
    for step in range(STEPS):
        torch.manual_seed(step)
        shares = COUNTS if world > 1 else (sum(COUNTS),)
        views = tuple(view.split(shares)[rank] for view in views_of(step))
        labels = labels_of(step).split(shares)[rank]
        optimizer.zero_grad()
        losses.append(gradients(method, views, labels))
        trained = [each for each in method.parameters() if each.requires_grad]
        Ranks(rank, world).average_step(method, trained, losses[-1])
        optimizer.step()
        method.after_step(step / STEPS)
    return losses, method.state_dict()


def _on_a_rank(rank: int, world: int) -> dict[str, Outcome]:
    """All cases, one after another."""
    return {case.title: _steps(case, _whole, rank, world) for case in CASES}


def outcomes_on_ranks(folder: Path) -> list[dict[str, Outcome]]:
    """Every case's outcome on each of two ranks."""
    return run_on_ranks(len(COUNTS), _on_a_rank, folder)


def same_on_ranks(case: Case, on_ranks: list[dict]) -> bool:
    """Whether losses and state of two ranks are those of one process with the global batch."""
    expected = whole_steps(case)
    return all(_same(each[case.title], expected) for each in on_ranks)


def same_in_parts(case: Case) -> bool:
    """Whether gradient caching takes the steps of the whole batch."""

    def in_parts(method: Method, views: tuple[Tensor, ...], labels: Tensor) -> Tensor:
        return cached_gradients(method, views, labels, PART)

    try:
        found = _steps(case, in_parts, 0, 1)
    except SettingError:
        return False
    return _same(found, whole_steps(case))


def _same(found: Outcome, expected: Outcome) -> bool:
    """Whether two outcomes agree to ten digits."""
    try:
        torch.testing.assert_close(found, expected, **EXACT)
    except AssertionError:
        return False
    return True


def resumes(case: Case, folder: Path) -> bool:
    """Whether a run cut within an epoch and gone on with ends with the same bits."""
    try:
        assert_resumes_to_the_same_bits(folder, case.seeded, replace(TINY, epochs=2))
    except AssertionError:
        return False
    return True


def refusal_of(case: Case, modality: Modality) -> str | None:
    """Takes steps on random examples of a kind; why it cannot, or None."""
    shape, preset = EXAMPLES[modality]
    try:
        method = case.seeded(modality)
    except SettingError as error:
        return str(error)
    assert isinstance(method, nn.Module)
    generator = torch.Generator().manual_seed(1)
    channels = shape[0]
    views = as_spec(ViewsSpec, {"name": preset}).build(
        shape, mean=(0.5,) * channels, std=(0.5,) * channels
    )
    examples = torch.rand(12, *shape, generator=generator)
    if modality == "images":
        examples = (255 * examples).to(torch.uint8)
    optimizer = sgd(method)
    for _ in range(2):
        loss = method(views(examples, generator), torch.arange(12) % CLASSES)
        optimizer.zero_grad()
        loss.backward()
        # MoCo's first losses may be small, but never without a gradient for what is trained.
        for name, each in method.named_parameters():
            if each.requires_grad:
                assert each.grad is not None, name
                assert each.grad.isfinite().all(), name
        optimizer.step()
        method.after_step(0.5)
    assert method.encoder.eval()(views(examples, generator)[0]).shape == (
        12,
        method.encoder.num_features,
    )
    return None


def needs_labels(case: Case) -> bool:
    """Whether it refuses data without labels; if it does not, it must do a step without."""
    try:
        case.config.require_labels(False, "these data")
    except SettingError:
        return True
    case.row_by_row()(views_of(0), None).backward()
    return False


def learns(case: Case, folder: Path) -> tuple[float, float]:
    """KNN accuracy on digits, before and after ten epochs, in percent."""
    recipe = simclr_digits()
    digits = load_digits(DataConfig())
    recipe = replace(
        recipe,
        method=case.sized(LEARNING),
        encoder=case.encoder("images", width=16),
        training=replace(
            recipe.training,
            epochs=10,
            batch_size=128,
            schedule=CosineSpec(warmup_share=0.2),
            knn_every=0,
            device="cpu",
            precision="fp32",
        ),
    )
    run = assemble(recipe, digits)
    mean, std = run.format.mean[0], run.format.std[0]

    def accuracy() -> float:
        encoder = run.method.encoder.eval()

        def features(images: Tensor) -> Tensor:
            with torch.no_grad():
                return nn.functional.normalize(encoder((images.float() / 255 - mean) / std), dim=1)

        bank = KNNBank(features(digits.train.examples), digits.train.labels)
        scores = bank.predict(features(digits.test.examples), 20, 0.07)
        return 100 * float((scores.argmax(dim=1) == digits.test.labels).float().mean())

    before = accuracy()
    train(run.method, run.views, run.batches, recipe.training, RunFolder.create(folder), seed=0)
    return before, accuracy()
