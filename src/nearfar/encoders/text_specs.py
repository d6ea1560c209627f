"""The backbones of texts: their settings. Imports no torch."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.encoders.specs import Dropout, EncoderSpec, Width
from nearfar.errors import SettingError

if TYPE_CHECKING:
    from torch import Tensor


class TextEncoderSpec(EncoderSpec):
    """What our backbones for texts share."""

    takes = "texts"
    width: Width = 128
    """Features, and units of the embedding of a token."""
    tokens: Literal["bytes", "bpe"] = "bytes"
    """What is a token: a byte, or what byte-pair encoding learns of the training texts."""
    vocabulary: Annotated[int, Ge(258), Le(2**20)] = 4096
    """Tokens of byte-pair encoding at most; bytes are 257 of them."""
    dropout: Dropout = 0.1
    """Share of units that are dropped; it makes two views of one text differ (SimCSE)."""

    def check(self) -> None:
        """What the tokeniser needs is there."""
        super().check()
        if self.tokens == "bpe" and find_spec("tokenizers") is None:
            raise SettingError(
                "encoder.tokens bpe needs the tokenizers library: pip install 'nearfar[text]', or "
                "set encoder.tokens to bytes"
            )

    @property
    def draws(self) -> bool:
        """Whether two passes of one example differ."""
        return self.dropout > 0

    @property
    def learnt(self) -> tuple[str, ...]:
        """The tokeniser's merges."""
        return ("tokens.merges",) if self.tokens == "bpe" else ()

    def learn(self, examples: "Tensor") -> "dict[str, Tensor]":
        """The merges of byte-pair encoding of the texts."""
        if self.tokens == "bytes":
            return {}
        from nearfar.encoders.tokens import learn_merges
        from nearfar.text_bytes import decoded

        return {"tokens.merges": learn_merges(decoded(examples), self.vocabulary - 257)}

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:  # noqa: ARG002  any length
        """The spec itself."""
        return {"spec": self}


class TextBagSpec(TextEncoderSpec):
    """The mean of embeddings of tokens and of runs of them, without their order."""

    target: ClassVar[str] = "nearfar.encoders.text_encoders:TextBag"
    name: Literal["text-bag"] = "text-bag"
    runs: Annotated[int, Ge(1), Le(16)] = 4
    """Tokens of the longest run that has an embedding; 1 or 2 are usual for bpe."""
    buckets: Annotated[int, Ge(2), Le(2**24)] = 2**16
    """Embeddings that runs share by their hash (Bojanowski et al. 2017)."""


class TextGRUSpec(TextEncoderSpec):
    """A GRU over tokens, as in Quick-Thought (Logeswaran and Lee 2018)."""

    target: ClassVar[str] = "nearfar.encoders.text_encoders:TextGRU"
    gives_steps = True
    name: Literal["text-gru"] = "text-gru"
    pooling: Literal["mean", "last"] = "mean"
    """Features: the mean of the states, or the last one (Quick-Thought's)."""

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The spec itself, and the most tokens that a text can have."""
        return {"spec": self, "steps": shape[0]}


class BlocksSpec(TextEncoderSpec):
    """What transformers share."""

    depth: Annotated[int, Ge(1), Le(1000)] = 2
    """Blocks of attention and perceptron."""
    heads: Annotated[int, Ge(1), Le(1024)] | None = None
    """Of attention; left out, one for every 32 units of width."""

    def check(self) -> None:
        """Positions turn pairs of a head's units."""
        super().check()
        if self.width % (2 * self.head_count):
            raise SettingError(
                f"encoder.width is {self.width}, and encoder.heads {self.head_count}: the width is "
                f"to be a multiple of {2 * self.head_count}, of twice as many"
            )

    @property
    def head_count(self) -> int:
        """Heads of attention."""
        return self.heads or max(1, self.width // 32)


class TextTransformerSpec(BlocksSpec):
    """A small transformer with norms before its layers and rotary positions."""

    target: ClassVar[str] = "nearfar.encoders.text_encoders:TextTransformer"
    name: Literal["text-transformer"] = "text-transformer"
    pooling: Literal["mean", "cls"] = "mean"
    """Features: the mean over the tokens, or what a learnt vector in front of them becomes."""


class TextCausalTransformerSpec(BlocksSpec):
    """The same, each token seeing those before it alone, as in GPT (Radford et al. 2018)."""

    target: ClassVar[str] = "nearfar.encoders.text_encoders:TextCausalTransformer"
    gives_steps = True
    name: Literal["text-causal-transformer"] = "text-causal-transformer"
    pooling: Literal["mean", "last"] = "mean"
    """Features: the mean of the states, or the last one, which has seen all."""

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:
        """The spec itself, and the most tokens that a text can have."""
        return {"spec": self, "steps": shape[0]}
