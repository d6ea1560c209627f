"""Features of a frozen encoder: every example exactly once, in order, float32."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from nearfar.data.batches import evaluation_batches
from nearfar.data.normalisation import channel_statistics
from nearfar.data.source import Part
from nearfar.errors import NearfarError
from nearfar.evaluation.word_weights import word_weights
from nearfar.standardising import standardised
from nearfar.text_bytes import decoded
from nearfar.training.thread_choice import ThreadChoice, Work

MOST_RAW_STEPS = 512
"""Steps of series beyond which the raw baseline averages, so that it stays computable."""

MEASURED = 64
"""Examples by which the fastest thread count is found: enough to tell, few enough to be cheap."""


@contextmanager
def frozen(encoder: nn.Module) -> Iterator[nn.Module]:
    """The encoder in eval mode and without gradients; afterwards every module is as it was.

    Args:
        encoder: Any module; each submodule's own training flag is restored, also after an error.
    """
    training = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        with torch.inference_mode():
            yield encoder
    finally:
        for module, flag in training:
            module.training = flag


def extract_features(
    encoder: nn.Module,
    part: Part,
    *,
    device: str | torch.device = "cpu",
    batch_size: int = 512,
    workers: int = 0,
    threads: ThreadChoice | None = None,
) -> Float[Tensor, "n dim"]:
    """Features of every example of a part, from the encoder in eval mode, always in float32.

    Args:
        encoder: Takes examples as the part holds them, returns `(batch, dim)`: a `SavedEncoder`.
            It must be on `device` already.
        part: The examples, each of which is seen exactly once.
        device: Where the encoder is.
        batch_size: Examples in a batch; the features do not depend on it.
        workers: Processes that decode streamed images.
        threads: Chooses the thread count; None leaves it.

    Returns:
        Row i holds the features of example i, on the CPU.

    Raises:
        NearfarError: If the part is empty or a feature is not finite.
    """
    _check_not_empty(part)
    device = torch.device(device)
    batches = evaluation_batches(
        part.examples, batch_size=batch_size, device=device, workers=workers
    )
    with frozen(encoder), torch.autocast(device.type, enabled=False):
        rows = []
        for images, _ in batches:
            if threads is not None:
                threads.before_step(functools.partial(_encoding, encoder, images[:MEASURED]))
            rows.append(encoder(images).float().flatten(1).cpu())
            if threads is not None:
                threads.after_step()
    # Joined outside inference mode, the features may be used by anything, autograd included.
    return check_finite(torch.cat(rows), "the encoder's features")


def _encoding(encoder: nn.Module, images: Tensor) -> Work:
    """What a batch asks of the encoder, for a few of its examples."""
    return functools.partial(encoder, images)


def raw_features(part: Part, train: Part, *, workers: int = 0) -> Float[Tensor, "n dim"]:
    """The examples themselves as features: the baseline that an encoder must beat.

    Args:
        part: Images become their pixels. Series and vectors are normalised by the statistics of
            the training part and flattened; longer series are first averaged down to 512 steps.
            Texts become TF-IDF of the commonest words of the training part.
        train: The training part.
        workers: Processes that decode streamed images.

    Raises:
        NearfarError: If the part is empty.
    """
    if part.modality == "images":
        return raw_pixels(part, workers=workers)
    _check_not_empty(part)
    examples = part.examples
    assert isinstance(examples, Tensor)
    if part.modality == "texts":
        assert isinstance(train.examples, Tensor)
        return word_weights(decoded(examples), decoded(train.examples))
    mean, std = (torch.tensor(each, dtype=torch.float64) for each in channel_statistics(train))
    values = standardised(examples, mean, std)
    if values.ndim == 3 and values.shape[2] > MOST_RAW_STEPS:
        values = F.adaptive_avg_pool1d(values, MOST_RAW_STEPS)
    return values.flatten(1)


def raw_pixels(part: Part, *, max_side: int = 32, workers: int = 0) -> Float[Tensor, "n dim"]:
    """Images themselves as features.

    Args:
        part: The images.
        max_side: Larger images are first shrunk to this height and width (area average), so that
            the baseline stays computable; smaller ones are taken as they are.
        workers: Processes that decode streamed images.

    Returns:
        Pixels in 0 to 1, one row an image.

    Raises:
        NearfarError: If the part is empty.
    """
    _check_not_empty(part)
    _, height, width = part.example_shape
    size = (min(height, max_side), min(width, max_side))
    rows = []
    batches = evaluation_batches(
        part.examples, batch_size=1024, device=torch.device("cpu"), workers=workers
    )
    for images, _ in batches:
        pixels = images.float() / 255
        if size != (height, width):
            pixels = F.interpolate(pixels, size=size, mode="area")
        rows.append(pixels.flatten(1))
    return torch.cat(rows)


def check_finite(features: Float[Tensor, "n dim"], what: str) -> Float[Tensor, "n dim"]:
    """The features, if all are finite; `what` names them in the message.

    Raises:
        NearfarError: Naming how many rows are not finite, and the first.
    """
    finite = torch.isfinite(features).all(dim=1)
    if not bool(finite.all()):
        bad = int((~finite).sum())
        first = int((~finite).nonzero()[0, 0])
        raise NearfarError(
            f"{what} are NaN or infinite for {bad} of {len(features)} examples (first: {first}): "
            "the encoder has diverged, take an earlier checkpoint or a lower learning rate"
        )
    return features


def _check_not_empty(part: Part) -> None:
    if len(part) == 0:
        raise NearfarError("no examples to take features of: the part is empty")
