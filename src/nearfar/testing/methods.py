"""What must hold for every method: each property a function, all of them `check_method`."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import SettingError
from nearfar.methods.method import Method
from nearfar.methods.method_spec import MethodSpec
from nearfar.modality import Modality, channels_of
from nearfar.spec import as_spec
from nearfar.testing.named_checks import require_all
from nearfar.testing.rank_processes import run_on_ranks
from nearfar.testing.resuming import CLASSES, resumes_to_the_same_bits
from nearfar.training.averaging import StepAverage
from nearfar.training.generators import OwnDraws
from nearfar.training.gradient_caching import LastPass, cached_gradients
from nearfar.training.ranks import Ranks
from nearfar.views.specs import ViewsSpec

COUNTS = (4, 5)
"""Examples on each of two ranks; no fewer, for batch-norm that is split in two."""
STEPS = 3
PART = 3
"""Most examples embedded at a time."""
ERROR = 1e-10
"""Allowed where float64 is compared, relative or absolute."""
EXAMPLES: dict[Modality, tuple[tuple[int, ...], str]] = {
    "images": ((1, 8, 8), "digits"),
    "series": ((2, 40), "series"),
    "vectors": ((10,), "vectors"),
    "texts": ((24,), "text"),
}
"""Shape of an example of each kind, and the preset of its views."""
Outcome = tuple[list[Tensor], dict[str, Tensor], dict[str, float]]
"""Losses of some steps; the state and the scalars after the last."""


@dataclass(frozen=True)
class MethodCase:
    """A method with its settings.

    Attributes:
        title: Its name.
        spec: Its settings; sizes so small that a step is instant.
        apart: Properties of `check_method` that make no sense for it, and why.
        keeps_batch_norm: It is about batch-norm, which else gives way to a norm over each example,
            so that ranks and parts can be compared with the whole batch.
    """

    title: str
    spec: MethodSpec
    apart: Mapping[str, str] = field(default_factory=dict)
    keeps_batch_norm: bool = False

    def encoder(self, modality: Modality, *, width: int = 4) -> EncoderSpec:
        """The first backbone for such examples that the method works with.

        Raises:
            SettingError: Why it works with none.
        """
        refusal = SettingError(f"no backbone takes {modality}")
        for name in EncoderSpec.fitting(modality):
            if name in EncoderSpec.owners("width"):
                encoder = as_spec(EncoderSpec, {"name": name, "width": width})
                try:
                    self.build(encoder.build(EXAMPLES[modality][0]))
                except SettingError as error:
                    refusal = error
                else:
                    return encoder
        raise refusal

    def build(self, encoder: nn.Module) -> Method:
        """The method around an encoder."""
        return self.spec.build(encoder, class_counts=torch.full((CLASSES,), 11))

    def seeded(self, modality: Modality = "images") -> Method:
        """The method with a tiny encoder, the same weights every time."""
        with OwnDraws(5):
            return self.build(self.encoder(modality).build(EXAMPLES[modality][0]))

    def row_by_row(self) -> Method:
        """In float64; each row depends on its own example alone, unless it keeps batch-norm."""
        method = self.seeded()
        if not self.keeps_batch_norm:
            norm_each_row(method)
        return method.double()


def check_method(
    spec: MethodSpec,
    *,
    modality: Modality = "images",
    apart: Sequence[str] = (),
    ranks: bool = True,
) -> None:
    """Check all that nearfar asks of a method; it takes seconds, the ranks some more.

    It is tried with a tiny encoder of nearfar's own, on random examples of three classes. In the
    comparison of parts and ranks with the whole batch, a norm over each example stands in the place
    of batch-norm, and the method computes in float64.

    Args:
        spec: With settings so small that a step is instant: heads of a few numbers, a short queue.
        modality: Examples that it takes steps on. Parts and ranks are always tried on images.
        apart: Properties that make no sense for it: "in parts", "resume" or "2 ranks".
        ranks: Check it on two processes too; they must be able to import the method.

    Raises:
        AssertionError: A property does not hold; the message names it and has the numbers.
    """
    case = MethodCase(spec.name, spec, dict.fromkeys(apart, ""))
    unknown = set(apart) - {"in parts", "resume", "2 ranks"}
    assert not unknown, f"no such property: {', '.join(sorted(unknown))}"
    require_all(spec.name, _checks(case, modality, ranks=ranks))


def _checks(
    case: MethodCase, modality: Modality, *, ranks: bool
) -> Iterator[tuple[str, Callable[[], object]]]:
    """What is checked of a case, in words, and how."""
    yield "it must build", lambda: _is_a_method(case.seeded(modality))
    yield f"it must take steps on {modality}", lambda: takes_steps(case, modality)
    yield "its spec must say whether it needs labels", lambda: keeps_its_word_on_labels(case)
    if "in parts" not in case.apart:
        words = "parts of a batch must be the whole batch (gradient caching)"
        yield words, lambda: is_the_same_in_parts(case)
    if "resume" not in case.apart:
        words = "a run that was cut must go on to the same bits"
        yield words, lambda: resumes_to_the_same_bits(case.seeded)
    if ranks and "2 ranks" not in case.apart:
        words = "two ranks must take the steps of one process with the global batch"
        yield words, lambda: is_the_same_on_ranks(case)


def takes_steps(case: MethodCase, modality: Modality) -> None:
    """Steps on random examples leave finite gradients for all that is trained.

    Raises:
        AssertionError: They do not; or scalars or features are not what they must be.
        SettingError: It does not take such examples; the message says why.
    """
    shape, preset = EXAMPLES[modality]
    method = case.seeded(modality)
    generator = torch.Generator().manual_seed(1)
    channels = channels_of(modality, shape)
    views = as_spec(ViewsSpec, {"name": preset}).build(
        shape, mean=(0.5,) * channels, std=(0.5,) * channels
    )
    examples = torch.rand(12, *shape, generator=generator)
    if modality == "images":
        examples = (255 * examples).to(torch.uint8)
    elif modality == "texts":  # letters, with spaces among them
        examples = torch.where(examples < 0.2, 32, 97 + 26 * examples).to(torch.uint8)
    optimizer = sgd(method)
    for _ in range(2):
        loss = method(views(examples, generator), torch.arange(12) % CLASSES)
        assert loss.shape == (), f"the loss is a tensor of shape {tuple(loss.shape)}"
        assert loss.isfinite(), f"the loss is {loss.item()}"
        optimizer.zero_grad()
        loss.backward()
        for name, each in method.named_parameters():
            if each.requires_grad:
                assert each.grad is not None, f"{name} is trained and has no gradient"
                assert each.grad.isfinite().all(), f"the gradient of {name} is not finite"
        optimizer.step()
        method.after_step(0.5)
        for name, value in method.scalars.items():
            assert isinstance(value, float), f"scalar {name} is a {type(value).__name__}"
            assert isfinite(value), f"scalar {name} is {value}"
    features = method.encoder.eval()(views(examples, generator)[0])
    expected = (12, method.encoder.num_features)
    assert features.shape == expected, f"features are {tuple(features.shape)}, not {expected}"


def keeps_its_word_on_labels(case: MethodCase) -> None:
    """Data without labels are refused where the spec says that it reads them; else they do."""
    if not case.spec.reads_labels:
        case.spec.require_labels(False, "these data")
        case.row_by_row()(views_of(0), None).backward()
        return
    try:
        case.spec.require_labels(False, "these data")
    except SettingError:
        return
    raise AssertionError("it reads labels, and require_labels does not refuse data without")


def is_the_same_in_parts(case: MethodCase) -> None:
    """Gradient caching takes the steps of the whole batch."""

    def in_parts(
        method: Method, views: tuple[Tensor, ...], labels: Tensor, last_pass: LastPass
    ) -> Tensor:
        return cached_gradients(method, views, labels, PART, last_pass)

    _assert_same(_steps(case, in_parts, 0, 1), whole_steps(case))


def is_the_same_on_ranks(case: MethodCase, on_ranks: list[list[Outcome]] | None = None) -> None:
    """Losses, state and scalars of two ranks are those of one process with the global batch.

    Args:
        case: What is checked.
        on_ranks: Of `outcomes_on_ranks`, of this case alone; None: they are found now.
    """
    if on_ranks is None:
        with tempfile.TemporaryDirectory() as folder:
            on_ranks = outcomes_on_ranks([case], Path(folder))
    expected = whole_steps(case)
    for (found,) in on_ranks:
        _assert_same(found, expected)


def outcomes_on_ranks(cases: Sequence[MethodCase], folder: Path) -> list[list[Outcome]]:
    """Each case's outcome on each of two ranks.

    Args:
        cases: All are tried by the same two processes.
        folder: Empty; the ranks meet in it.
    """
    return run_on_ranks(len(COUNTS), _on_a_rank, folder, tuple(cases))


def norm_each_row(module: nn.Module) -> None:
    """Put a norm over each example alone in the place of every batch-norm."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            by_row = nn.GroupNorm(1, child.num_features)
            frozen = child.affine and not child.weight.requires_grad
            setattr(module, name, by_row.requires_grad_(not frozen))
        else:
            norm_each_row(child)


def sgd(method: nn.Module) -> torch.optim.SGD:
    """The plainest optimiser of all that is trained."""
    return torch.optim.SGD([each for each in method.parameters() if each.requires_grad], lr=0.5)


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


def whole_steps(case: MethodCase) -> Outcome:
    """The outcome of some steps of one process."""
    return _steps(case, _whole, 0, 1)


def _whole(
    method: Method, views: tuple[Tensor, ...], labels: Tensor, last_pass: LastPass
) -> Tensor:
    """The loss, its gradients left in the parameters."""
    (loss,) = last_pass(method(views, labels))
    loss.backward()
    return loss.detach()


def _steps(case: MethodCase, gradients: Callable, rank: int, count: int) -> Outcome:
    """Steps of a rank's share of each batch."""
    method = case.row_by_row()
    optimizer = sgd(method)
    trained = [each for each in method.parameters() if each.requires_grad]
    average = StepAverage(method, trained, Ranks(rank, count))
    losses = []
    for step in range(STEPS):
        shares = COUNTS if count > 1 else (sum(COUNTS),)
        views = tuple(view.split(shares)[rank] for view in views_of(step))
        labels = labels_of(step).split(shares)[rank]
        optimizer.zero_grad()
        with OwnDraws(step):
            losses.append(gradients(method, views, labels, average.last_pass))
        average.finish(losses[-1])
        optimizer.step()
        method.after_step(step / STEPS)
    return losses, method.state_dict(), method.scalars


def _on_a_rank(rank: int, count: int, cases: Sequence[MethodCase]) -> list[Outcome]:
    """All cases, one after another."""
    return [_steps(case, _whole, rank, count) for case in cases]


def _assert_same(found: Outcome, expected: Outcome) -> None:
    """Two outcomes agree to ten digits."""
    for what, ours, theirs in zip(("loss", "state", "scalars"), found, expected, strict=True):
        torch.testing.assert_close(
            ours, theirs, rtol=ERROR, atol=ERROR, msg=partial("{}: {}".format, what)
        )


def _is_a_method(built: Method) -> None:
    assert isinstance(built, Method), f"{type(built).__name__} does not inherit from Method"
