"""CPC: predict the vectors of later steps from all steps so far, apart from other examples'."""

import math
from typing import NamedTuple, cast

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.encoders.step_encoders import (
    PartialStepEncoder,
    PatchEncoder,
    StepEncoder,
    Steps,
)
from nearfar.errors import SettingError
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.methods.method import Method, ViewsOfBatch
from nearfar.objectives import n_pair
from nearfar.similarity.computing import computing
from nearfar.similarity.extremes import hardest
from nearfar.similarity.gathering import gather_rows

Patches = Float[Tensor, "patches channels side side"]
StepGrid = Float[Tensor, "batch _ columns dim"]


class CPC(Method):
    """Contrastive predictive coding (van den Oord et al. 2018) of series, images and texts.

    The encoder gives each step t a vector z_t, and a context c_t of all steps up to it. For each of
    k = 1 … K steps ahead there is a matrix W_k, without bias. With `s_ij = z_{j,t+k}ᵀ W_k c_{i,t}`,
    which is log f_k,

        L = mean over k, over t, over examples i of −log( exp s_ii / Σ_j exp s_ij )

    over the examples j of the batch of all ranks: the candidates for a context are the vectors of
    one and the same step, of its own example and of all others, which are draws from p(z_{t+k}) as
    their theorem asks. (They also draw from other steps and from the same example.) An image's rows
    of patches are its steps, and its columns are predicted each by itself. Of several views, each
    is compared with other examples' view of the same number, and the losses are averaged; one is
    enough.

    Texts have steps, their tokens, as far as they go. Of a step the examples take part that have
    it, and the mean is over all that there is to predict; where one alone has it, nothing is.

    In training the patches of an image can be changed, each by itself: by a crop put back at
    another place, as in their paper, and in brightness and contrast, where Hénaff et al. (2020)
    change colours. What patches share by overlap or by accident then tells less of what comes next.

    Raises:
        SettingError: The encoder gives no steps, or not more than are to be predicted; patches are
            to be changed and it cuts none, or so small ones that a crop would leave them whole.
    """

    def __init__(self, spec: CPCSpec, encoder: nn.Module) -> None:
        super().__init__()
        if not isinstance(encoder, StepEncoder):
            raise SettingError(
                f"CPC predicts later steps, and {type(encoder).__name__} gives none: choose "
                "encoder.name series-gru, patch-gru, text-gru or text-causal-transformer"
            )
        steps, dim = cast(int, encoder.num_steps), cast(int, encoder.num_features)
        if spec.prediction_steps >= steps:
            raise SettingError(
                f"method.prediction_steps is {spec.prediction_steps}: the encoder makes {steps} "
                f"steps of an example, which leaves at most {steps - 1} to predict"
            )
        if isinstance(encoder, PatchEncoder):
            _check_crop(spec, encoder.patch)
        else:
            spec.require_patches(type(encoder).__name__)
        self.encoder: nn.Module = encoder
        self._crop, self._jitter = spec.patch_crop, spec.patch_jitter
        self.predictors = nn.ModuleList(
            nn.Linear(dim, dim, bias=False) for _ in range(spec.prediction_steps)
        )
        self._partial = isinstance(encoder, PartialStepEncoder)
        self._last: tuple[Tensor, Tensor, _Predicted] | None = None

    def embed(self, views: ViewsOfBatch) -> tuple[Tensor, ...]:
        """Vectors z and c of the first view, then of the second, and so on.

        Of texts z and c are each followed by which steps are there, `(batch, steps)`, 1 or 0.
        """
        return tuple(vectors for view in views for vectors in self._embedded(view))

    def loss(
        self,
        embedded: tuple[Tensor, ...],
        labels: Tensor | None = None,  # noqa: ARG002  every method takes them; this one learns without
    ) -> Float[Tensor, ""]:
        """Mean over the steps ahead and the views, among the examples of all ranks."""
        gathered = tuple(map(gather_rows, embedded))
        kinds = 3 if self._partial else 2
        views = [
            _without_tail(*gathered[first : first + kinds], least=len(self.predictors) + 1)
            for first in range(0, len(gathered), kinds)
        ]
        with computing(group=dist.group.WORLD):
            pairs = [
                [
                    _Predicted(
                        predictor(contexts[:, :-ahead]),
                        steps[:, ahead:],
                        None if there is None else there[:, ahead:],
                    )
                    for steps, contexts, there in views
                ]
                for ahead, predictor in enumerate(self.predictors, start=1)
            ]
            by_step = torch.stack(
                [torch.stack([_mean_n_pair(each) for each in step]).mean() for step in pairs]
            )
        first = pairs[0][0]
        held = None if first.there is None else first.there.detach()
        self._last = (
            by_step.detach(),
            torch.stack([_mean_ceiling(step[0]) for step in pairs]),
            _Predicted(first.predictions.detach(), first.targets.detach(), held),
        )
        return by_step.mean()

    @property
    def scalars(self) -> dict[str, float]:
        """Of the last call; computed when read.

        Returns:
            `nearest_is_positive`, the share (0 to 1) of the first view's contexts whose best
            candidate for the next step is the true one; and for each step ahead k `bound_k`,
            `log(examples) − loss` in nats: from below it bounds the mutual information of z_{t+k}
            and c_t, on average over t, and it is never above `mutual_information_ceiling`, which is
            `log(examples)`; of texts, the mean over what is predicted of the logarithm of how many
            have the step, one step ahead. Empty before the first call.
        """
        if self._last is None:
            return {}
        losses, ceilings, predicted = self._last
        bounds = (ceilings.cpu() - losses.cpu()).tolist()
        return {
            "nearest_is_positive": _nearest_is_positive(predicted),
            "mutual_information_ceiling": float(ceilings[0]),
            **{f"bound_{ahead}": bound for ahead, bound in enumerate(bounds, start=1)},
        }

    def _embedded(self, view: Tensor) -> tuple[Tensor, ...]:
        """Vectors z and c, and of texts which steps are there."""
        steps, contexts = self._steps(view)
        if not self._partial:
            return steps, contexts
        there = cast(PartialStepEncoder, self.encoder).steps_there(view)
        return steps, contexts, there.to(torch.float32)

    def _steps(self, view: Tensor) -> Steps:
        """Vectors z and c, of changed patches in training."""
        if self.training and (self._crop < 1 or self._jitter > 0):
            return cast(PatchEncoder, self.encoder).steps(view, self._changed)
        return cast(StepEncoder, self.encoder).steps(view)

    def _changed(self, patches: Patches) -> Patches:
        """Every patch in a crop, a brightness and a contrast of its own."""
        if self._crop < 1:
            patches = moved_crops(patches, self._crop)
        return jittered(patches, self._jitter) if self._jitter > 0 else patches


def _check_crop(spec: CPCSpec, side: int) -> None:
    """Refuse a crop that is the whole patch for want of pixels."""
    if spec.patch_crop < 1 and kept_side(side, spec.patch_crop) == side:
        raise SettingError(
            f"method.patch_crop is {spec.patch_crop}, and keeps all {side} px of a patch: choose "
            f"{math.floor(100 * (side - 1) / side) / 100:g} or less, or 1"
        )


class _Predicted(NamedTuple):
    """Predictions of later steps, and these.

    Attributes:
        predictions: Of each place.
        targets: What is there.
        there: 1 where an example has the step, else 0; None where all have all.
    """

    predictions: StepGrid
    targets: StepGrid
    there: Float[Tensor, "batch _"] | None

    def by_place(self) -> list[tuple[Tensor, Tensor]]:
        """Predictions and targets of each step and column, of the examples that have it.

        A step that one alone has, or none, is left out, for there is nothing to tell it from.
        """
        every = list(zip(_by_place(self.predictions), _by_place(self.targets), strict=True))
        if self.there is None:
            return every
        columns = self.targets.shape[2]
        having = [each.nonzero().squeeze(1) for each in self.there.unbind(dim=1)]
        rows = [each for each in having for _ in range(columns)]
        return [
            (predictions[own], targets[own])
            for (predictions, targets), own in zip(every, rows, strict=True)
            if len(own) > 1
        ]


def _without_tail(
    steps: StepGrid, contexts: StepGrid, there: Tensor | None = None, *, least: int
) -> tuple[StepGrid, StepGrid, Tensor | None]:
    """What any example has, and so many steps at least: behind them there is nothing to predict."""
    if there is None:
        return steps, contexts, None
    places = torch.arange(1, there.shape[1] + 1, device=there.device)
    longest = max(least, int((places * there).amax()))
    return steps[:, :longest], contexts[:, :longest], there[:, :longest]


def _mean_n_pair(predicted: _Predicted) -> Float[Tensor, ""]:
    """Mean over all that is predicted of its loss among the targets of its place."""
    places = predicted.by_place()
    if not places:  # of texts so short that nothing is so far ahead
        return 0 * (predicted.predictions.sum() + predicted.targets.sum())
    losses = torch.stack([n_pair(*rows) for rows in places])
    return losses.mean() if predicted.there is None else _weighted(losses, places)


def _mean_ceiling(predicted: _Predicted) -> Tensor:
    """Mean over all that is predicted of the logarithm of its candidates."""
    places = predicted.by_place()
    counts = [len(targets) for _, targets in places]
    if predicted.there is None or not places:
        return torch.tensor(float(max([1, *counts]))).log()
    return _weighted(torch.tensor(counts, dtype=torch.float32).log(), places)


def _nearest_is_positive(predicted: _Predicted) -> float:
    """Share of predictions whose largest dot product among the targets is with their own."""
    places = predicted.by_place()
    right = []
    for predictions, targets in places:
        own = torch.arange(len(targets), device=targets.device)
        nearest = hardest(predictions.float(), targets.float(), largest=True)[1]
        right.append((nearest == own).float().mean())
    if not right:
        return 0.0
    shares = torch.stack(right)
    return float(shares.mean() if predicted.there is None else _weighted(shares, places))


def _weighted(values: Float[Tensor, " places"], places: list[tuple[Tensor, Tensor]]) -> Tensor:
    """The mean of places, each as often as it has examples."""
    counts = torch.tensor([len(targets) for _, targets in places])
    return (values * (counts.double() / counts.sum()).to(values)).sum()


def _by_place(grid: StepGrid) -> tuple[Float[Tensor, "batch dim"], ...]:
    return grid.flatten(1, 2).unbind(dim=1)


def kept_side(side: int, share: float) -> int:
    """Side of the crop of a patch, in whole pixels, 1 or more."""
    return max(1, round(share * side))


def moved_crops(patches: Patches, share: float) -> Patches:
    """A random square of each patch, put back at a random place (van den Oord et al. 2018).

    What is left of the patch repeats the nearest pixels of the square, so that no frame shows.

    Args:
        patches: Squares of images, in any units.
        share: Side of the crop over the patch's, above 0 and up to 1: 60 of 64 px in their paper.

    Returns:
        Patches of the same shape. All is drawn from torch's generator of the patches' device.
    """
    kept = kept_side(patches.shape[-1], share)
    return _moved(_moved(patches, 2, kept), 3, kept)


def jittered(patches: Patches, deviation: float) -> Patches:
    """Another brightness and contrast for each patch, the same for all its channels.

    Args:
        patches: Normalised: each channel of the data has mean 0 and deviation 1.
        deviation: Of the normal logarithm of the contrast, a factor, and of the normal brightness,
            which is added; 0 or more. Zero changes nothing.

    Returns:
        Patches of the same shape. All is drawn from torch's generator of the patches' device.
    """
    shape = (2, len(patches), 1, 1, 1)
    contrast, brightness = deviation * torch.randn(shape, device=patches.device).to(patches.dtype)
    return patches * contrast.exp() + brightness


def _moved(patches: Patches, side: int, kept: int) -> Patches:
    """A random stretch of `kept` pixels along one side of each patch, put back at random."""
    count, size = len(patches), patches.shape[side]
    device = patches.device
    start, place = torch.randint(size - kept + 1, (2, count, 1), device=device)
    source = start + (torch.arange(size, device=device) - place).clamp(0, kept - 1)
    shape = [count, 1, 1, 1]
    shape[side] = size
    return patches.gather(side, source.view(shape).expand_as(patches))
