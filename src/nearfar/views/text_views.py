"""Random views of a whole batch of texts on its device, as rows of bytes."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from nearfar.errors import SettingError
from nearfar.modality import in_words
from nearfar.views.parameters import TextParameters
from nearfar.views.specs import SimCSEViewsSpec, TextViewsSpec
from nearfar.views.views import Views

MASK = 0x1A
"""The byte that stands for a masked word: ASCII's own sign for what was substituted."""
_SPACE = 32

Bytes = UInt8[Tensor, "batch length"]


def text_view(texts: Bytes, parameters: TextParameters, generator: torch.Generator) -> Bytes:
    """Keep a run of words, leave some of them out, mask some.

    Words are what spaces, tabs and ends of lines divide; a space behind a word goes with it. CLEAR
    (Wu et al. 2020) deletes words and spans, and Wei and Zou (2019, EDA) delete words to classify.
    A text of one word, such as one of a script without spaces, is masked at most.

    Args:
        texts: Zeros behind the end of each.
        parameters: What to draw from.
        generator: The only source of randomness, on any device.
    """
    batch, length = texts.shape
    device = texts.device
    where = {"generator": generator, "device": generator.device}
    share, start = torch.rand(2, batch, **where).to(device)
    deleted, masked = torch.rand(2, batch, length + 1, **where).to(device)
    inside = texts > _SPACE
    begins = inside.clone()
    begins[:, 1:] &= ~inside[:, :-1]
    word = begins.long().cumsum(dim=1)  # from 1 on; spaces are of the word before them
    count = word[:, -1]
    low, high = parameters.crop_length
    kept = ((low + (high - low) * share) * count).round().long().clamp(min=1)
    first = 1 + (start * (count - kept + 1).clamp(min=1)).long()
    stays = (word >= first[:, None]) & (word < (first + kept)[:, None])
    if parameters.deletion:
        stays &= ~_deleted(deleted, word, first, kept, parameters.deletion)
    views = texts
    if parameters.masking:
        hidden = masked.gather(1, word) < parameters.masking
        views = torch.where(hidden & begins, MASK, texts)
        stays &= ~(hidden & inside & ~begins)
    return _closed(views, stays & (texts != 0))


def _deleted(
    drawn: Tensor,
    word: Int64[Tensor, "batch length"],
    first: Int64[Tensor, " batch"],
    kept: Int64[Tensor, " batch"],
    probability: float,
) -> Bool[Tensor, "batch length"]:
    """Which bytes are of words that are left out: never of all that the crop keeps."""
    number = torch.arange(drawn.shape[1], device=drawn.device)
    cropped = (number >= first[:, None]) & (number < (first + kept)[:, None])
    highest = torch.where(cropped, drawn, -1.0).amax(dim=1, keepdim=True)
    return ((drawn < probability) & (drawn < highest)).gather(1, word)


def _closed(texts: Bytes, stays: Bool[Tensor, "batch length"]) -> Bytes:
    """The bytes that stay, without gaps, and without a space behind the last word."""
    batch, length = texts.shape
    place = torch.where(stays, stays.long().cumsum(dim=1) - 1, length)
    views = texts.new_zeros(batch, length + 1).scatter_(1, place, texts)[:, :length]
    ends = torch.arange(1, length + 1, device=texts.device)
    last = (ends * ((views > _SPACE) | (views == MASK))).amax(dim=1, keepdim=True)
    return views * (ends <= last)


class TextViews(Views):
    """Views of texts, `(batch, bytes)` uint8, as these; see `Views`."""

    def __init__(
        self,
        parameters: tuple[TextParameters, TextParameters],
        *,
        shape: tuple[int, ...],
        mean: Sequence[float],
        std: Sequence[float],
        count: int = 2,
    ) -> None:
        examples = in_words("texts", shape)
        super().__init__(parameters, mean, std, count=count, channels=0, examples=examples)
        self._in_words = examples

    @torch.no_grad()
    def draw(
        self,
        examples: Tensor,
        generator: torch.Generator,
        view: int = 0,
        normalise: bool = True,  # noqa: ARG002  an encoder takes texts as they are
    ) -> Bytes:
        """One view of every example; see `Views.draw`."""
        if examples.dtype != torch.uint8 or examples.ndim != 2:
            kind = str(examples.dtype).removeprefix("torch.")
            raise SettingError(
                f"views need uint8 {self._in_words}, not {kind} {tuple(examples.shape)}"
            )
        parameters = self.parameters[view % 2]
        if parameters == TextParameters() or not examples.shape[1]:
            return examples
        return text_view(examples, parameters, generator)


def text_views(
    spec: TextViewsSpec | SimCSEViewsSpec,
    shape: tuple[int, ...],
    *,
    mean: Sequence[float],
    std: Sequence[float],
) -> TextViews:
    """Views of texts `(bytes,)`."""
    return TextViews(spec.parameters(), shape=shape, mean=mean, std=std, count=spec.count)
