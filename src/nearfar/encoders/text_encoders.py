"""Backbones of texts: a bag of embeddings, a GRU, small transformers.

All take rows of bytes, `(batch, length)` of any real type, 0 behind the end of a text, and give one
vector a text. What stands behind the longest text of a batch costs nothing, and nothing behind the
end of a text changes its features. A text without a token has features all the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor, nn

from nearfar.encoders.step_encoders import Steps
from nearfar.encoders.text_specs import (
    TextBagSpec,
    TextCausalTransformerSpec,
    TextGRUSpec,
    TextTransformerSpec,
)
from nearfar.encoders.tokens import build_tokens

Texts = Shaped[Tensor, "batch length"]
_STATES = Float[Tensor, "batch tokens width"]


class TextBag(nn.Module):
    """The mean of embeddings of all runs of 1 to n tokens, hashed (Bojanowski et al. 2017).

    Attributes:
        num_features: Width.
    """

    def __init__(self, spec: TextBagSpec) -> None:
        super().__init__()
        self.num_features = spec.width
        self.runs, self.buckets = spec.runs, spec.buckets
        self.tokens = build_tokens(spec)
        self.embedding = nn.EmbeddingBag(1 + spec.buckets, spec.width, mode="mean", padding_idx=0)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, texts: Texts) -> Float[Tensor, "batch width"]:
        """Features of texts."""
        return self.dropout(self.embedding(_runs(self.tokens(texts), self.runs, self.buckets)))

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form."""
        return {"embedding": r"^embedding"}


def _runs(
    ids: Int64[Tensor, "batch tokens"], longest: int, buckets: int
) -> Int64[Tensor, "batch runs"]:
    """The bucket of every run of up to so many tokens, from 1 on; 0 where it meets the end."""
    found, hashed = [], torch.zeros_like(ids)
    for length in range(1, min(longest, ids.shape[1]) + 1):
        last = ids[:, length - 1 :]
        hashed = (hashed[:, : last.shape[1]] * 1_000_003 + last) % 2**40
        # Runs of other lengths meet in other buckets; multiplying mixes what is alike.
        mixed = ((hashed + length) * 0x9E3779B97F4A7C1) >> 24
        found.append(torch.where(last > 0, 1 + mixed % buckets, 0))
    return torch.cat(found, dim=1)


class TokenSteps(nn.Module, ABC):
    """Tokens as steps, for CPC: z of one is its embedding, c the state after it.

    Nothing of either depends on a later token; a subclass makes the states.

    Args:
        spec: Its settings.
        steps: Bytes that a text has at most, and so tokens.

    Attributes:
        num_features: Width.
        num_steps: Steps that `steps` gives, zeros behind the end of a text.
    """

    def __init__(self, spec: TextGRUSpec | TextCausalTransformerSpec, steps: int) -> None:
        super().__init__()
        self.num_features, self.num_steps = spec.width, steps
        self.pooling = spec.pooling
        self.tokens = build_tokens(spec)
        self.embedding = nn.Embedding(self.tokens.size, spec.width, padding_idx=0)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, texts: Texts) -> Float[Tensor, "batch width"]:
        """Features of texts."""
        ids = self.tokens(texts)
        states = self.states(self.dropout(self.embedding(ids)))
        if self.pooling == "mean":
            return self.dropout(_mean(states, ids > 0))
        last = ((ids > 0).sum(dim=1) - 1).clamp(min=0)
        return self.dropout(states[torch.arange(len(ids), device=ids.device), last])

    def steps(self, texts: Texts) -> Steps:
        """Vectors z and c of each token, `(batch, num_steps, 1, width)`."""
        embedded = self.dropout(self.embedding(self.tokens(texts)))
        states = self.states(embedded)
        behind = (0, 0, 0, self.num_steps - embedded.shape[1])
        return F.pad(embedded, behind).unsqueeze(2), F.pad(states, behind).unsqueeze(2)

    def steps_there(self, texts: Texts) -> Bool[Tensor, "batch num_steps"]:
        """Which steps are tokens: all up to the end of a text."""
        ids = self.tokens(texts)
        return F.pad(ids > 0, (0, self.num_steps - ids.shape[1]))

    @abstractmethod
    def states(self, embedded: _STATES) -> _STATES:
        """The state after each token, which no later one has a part in."""


class TextGRU(TokenSteps):
    """A GRU over tokens (Cho et al. 2014), of which each is a step for CPC; as `TokenSteps`."""

    def __init__(self, spec: TextGRUSpec, steps: int) -> None:
        super().__init__(spec, steps)
        self.gru = nn.GRU(spec.width, spec.width, batch_first=True)

    def states(self, embedded: _STATES) -> _STATES:
        """The state after each token."""
        # In full precision: what is rounded at a step would be carried on to all later ones.
        with torch.autocast(embedded.device.type, enabled=False):
            return self.gru(embedded.to(next(self.gru.parameters()).dtype))[0]

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form."""
        return {"embedding": r"^embedding", "gru": r"^gru"}


class TextTransformer(nn.Module):
    """A transformer whose norms stand before its layers (Xiong et al. 2020), positions by rotation.

    Attributes:
        num_features: Width.
    """

    def __init__(self, spec: TextTransformerSpec) -> None:
        super().__init__()
        self.num_features = spec.width
        self.tokens = build_tokens(spec)
        self.embedding = nn.Embedding(self.tokens.size, spec.width, padding_idx=0)
        self.first = nn.Parameter(0.02 * torch.randn(spec.width)) if spec.pooling == "cls" else None
        self.dropout = nn.Dropout(spec.dropout)
        self.blocks = _blocks(spec)
        self.norm = nn.LayerNorm(spec.width)

    def forward(self, texts: Texts) -> Float[Tensor, "batch width"]:
        """Features of texts."""
        ids = self.tokens(texts)
        states, there = self.embedding(ids), ids > 0
        if self.first is not None:
            first = self.first.to(states.dtype).expand(len(ids), 1, -1)
            states = torch.cat([first, states], dim=1)
            there = F.pad(there, (1, 0), value=True)
        states = self.dropout(states)
        # Where nothing may be looked at, attention has no answer: the first place always may.
        seen = there.index_fill(1, torch.zeros(1, dtype=torch.int64, device=ids.device), True)
        for block in self.blocks:
            states = block(states, seen)
        states = self.norm(states)
        return states[:, 0] if self.first is not None else _mean(states, there)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form: each block is both."""
        return _stage_of_blocks(len(self.blocks))


class TextCausalTransformer(TokenSteps):
    """`TextTransformer` in which a token sees itself and those before it; as `TokenSteps`.

    Such are GPT's (Radford et al. 2018). What is behind the end of a text is seen by none of its
    tokens, so no mask of ends is needed.
    """

    def __init__(self, spec: TextCausalTransformerSpec, steps: int) -> None:
        super().__init__(spec, steps)
        self.blocks = _blocks(spec)
        self.norm = nn.LayerNorm(spec.width)

    def states(self, embedded: _STATES) -> _STATES:
        """The state after each token."""
        for block in self.blocks:
            embedded = block(embedded, None)
        return self.norm(embedded)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form: each block is both."""
        return _stage_of_blocks(len(self.blocks))


def _blocks(spec: TextTransformerSpec | TextCausalTransformerSpec) -> nn.ModuleList:
    return nn.ModuleList(
        Block(spec.width, spec.head_count, spec.dropout) for _ in range(spec.depth)
    )


def _stage_of_blocks(count: int) -> Callable[[str], int]:
    """The stage of a parameter by its name: embedding, blocks, the norm with the last of them."""

    def stage(name: str) -> int:
        if name.startswith("blocks."):
            return 1 + int(name.split(".")[1])
        return count if name.startswith("norm") else 0

    return stage


class Block(nn.Module):
    """Attention, then a perceptron of four times the width; each behind a norm, added to its input.

    Args:
        width: Of the states.
        heads: Of attention.
        dropout: Of what is added.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)

    @property
    def attention_layers(self) -> tuple[nn.Module, ...]:
        """What low-rank adapters of attention are for (`nearfar.encoders.lora`)."""
        return self.qkv, self.proj

    def forward(self, states: _STATES, seen: Bool[Tensor, "batch tokens"] | None) -> _STATES:
        """The states after the block.

        Args:
            states: Of tokens.
            seen: Which of them are looked at; None: each looks at itself and those before it.
        """
        batch, tokens, width = states.shape
        parts = self.qkv(self.norm1(states)).view(batch, tokens, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        looked = F.scaled_dot_product_attention(
            turned(query),
            turned(key),
            value,
            attn_mask=None if seen is None else seen[:, None, None],
            is_causal=seen is None,
        )
        joined = looked.transpose(1, 2).reshape(batch, tokens, width)
        states = states + self.dropout(self.proj(joined))
        return states + self.dropout(self.mlp(self.norm2(states)))


def turned(vectors: Float[Tensor, "batch heads tokens dim"]) -> Tensor:
    """Each pair of units turned by an angle that grows with the place (RoPE; Su et al. 2021).

    With dim units, pair i of the token at place t, (x_i, x_{i + dim/2}), turns by
    t · 10000^(−2i/dim), so that dot products of two tokens depend on how far apart they stand.
    """
    tokens, half = vectors.shape[-2], vectors.shape[-1] // 2
    place = torch.arange(tokens, device=vectors.device, dtype=torch.float32)
    pace = 10_000.0 ** (-torch.arange(half, device=vectors.device, dtype=torch.float32) / half)
    angle = torch.outer(place, pace)
    cos, sin = angle.cos().to(vectors.dtype), angle.sin().to(vectors.dtype)
    first, second = vectors.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1)


def _mean(states: _STATES, there: Bool[Tensor, "batch tokens"]) -> Float[Tensor, "batch width"]:
    """The mean of the states of tokens; 0 where there is none."""
    weights = there.to(states.dtype).unsqueeze(2)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
