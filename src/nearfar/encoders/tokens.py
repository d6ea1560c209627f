"""Tokenisers: rows of bytes as rows of numbers, 0 behind the end of a text.

They are modules, and what they have learnt is a buffer: it is saved and copied with the weights.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor, nn

from nearfar.encoders.text_specs import TextEncoderSpec
from nearfar.errors import NearfarError
from nearfar.text_bytes import decoded, lengths

Ids = Int64[Tensor, "batch tokens"]
_BYTES = 256
_KEPT = 100_000
"""Texts whose tokens are kept, for they come again in every epoch."""


class ByteTokens(nn.Module):
    """Each byte is a token, as in ByT5 (Xue et al. 2022).

    Attributes:
        size: Of the vocabulary; 0 is no token.
    """

    size = _BYTES

    def forward(self, texts: Shaped[Tensor, "batch length"]) -> Ids:
        """Numbers of 1 to 255; as many columns as the longest text has bytes, at least one."""
        longest = max(1, int(lengths(texts).max())) if len(texts) else 1
        return texts[:, :longest].long()


class BPETokens(nn.Module):
    """Pairs of tokens that came together most often, merged (Sennrich et al. 2016), from bytes on.

    Merges stay within a word, with the space before it, or within digits or signs, as in GPT-2.

    Args:
        merges: How many there may be; −1 stands where the data had no more, or none was learnt yet.

    Attributes:
        size: Of the vocabulary; 0 is no token, then bytes, then merges.
    """

    merges: Int64[Tensor, "merges 2"]

    def __init__(self, merges: int) -> None:
        super().__init__()
        _library()
        self.size = 1 + _BYTES + merges
        self.register_buffer("merges", torch.full((merges, 2), -1))

    def forward(self, texts: Shaped[Tensor, "batch length"]) -> Ids:
        """Numbers from 1 on; as many columns as the longest text has tokens, at least one."""
        held = self.merges.cpu()
        encode = _encoder_of(held[held[:, 0] >= 0].numpy().tobytes())
        rows = [encode(text) for text in decoded(texts.to(torch.uint8))]
        ids = torch.zeros(len(rows), max(1, *map(len, rows)) if rows else 1, dtype=torch.int64)
        for row, known in zip(ids, rows, strict=True):
            row[: len(known)] = torch.tensor(known, dtype=torch.int64)
        return ids.to(texts.device)


def build_tokens(spec: TextEncoderSpec) -> ByteTokens | BPETokens:
    """The tokeniser that a spec names; BPE has learnt nothing yet."""
    return ByteTokens() if spec.tokens == "bytes" else BPETokens(spec.vocabulary - 1 - _BYTES)


def learn_merges(texts: Sequence[str], most: int) -> Int64[Tensor, "merges 2"]:
    """The merges of BPE, by the `tokenizers` library; the same for the same texts.

    Args:
        texts: To learn from.
        most: Merges at most.

    Returns:
        Both tokens of each merge, as `BPETokens` numbers them; −1 behind the last.
    """
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = library.trainers.BpeTrainer(
        vocab_size=_BYTES + most, initial_alphabet=_alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    number = {letter: 1 + byte for byte, letter in enumerate(_alphabet())}
    merges = torch.full((most, 2), -1)
    # A token may come of two merges: then it is the first one's, and the other is none too many.
    for row, (first, second) in enumerate(json.loads(tokenizer.to_str())["model"]["merges"][:most]):
        merges[row] = torch.tensor([number[first], number[second]])
        number.setdefault(first + second, 1 + _BYTES + row)
    return merges


def _library() -> Any:
    try:
        import tokenizers
    except ImportError:
        raise NearfarError(
            "encoder.tokens bpe needs the tokenizers library: pip install 'nearfar[text]', or set "
            "encoder.tokens to bytes"
        ) from None
    return tokenizers


@lru_cache(maxsize=1)
def _alphabet() -> list[str]:
    """The letter that stands for each byte, as GPT-2 has them: those that show stay themselves."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(_BYTES) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown}
    letters |= {byte: chr(_BYTES + place) for place, byte in enumerate(others)}
    return [letters[byte] for byte in range(_BYTES)]


@lru_cache(maxsize=8)
def _encoder_of(merges: bytes) -> Any:
    """What turns a text into tokens by these merges, and remembers what it was asked."""
    library, letters = _library(), _alphabet()
    words = ["", *letters]
    named = []
    for first, second in np.frombuffer(merges, dtype=np.int64).reshape(-1, 2).tolist():
        named.append((words[first], words[second]))
        words.append(words[first] + words[second])
    numbers: dict[str, int] = {}
    for number, word in enumerate(words[1:], 1):
        numbers.setdefault(word, number)
    tokenizer = library.Tokenizer(library.models.BPE(vocab=numbers, merges=named))
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)

    @lru_cache(maxsize=_KEPT)
    def encode(text: str) -> tuple[int, ...]:
        # One at a time: the library's own threads would warn of every process that is made later.
        return tuple(tokenizer.encode(text).ids)

    return encode
