"""A backbone of texts that Hugging Face's `transformers` builds, with its own tokeniser.

Weights come as safetensors alone, nothing is fetched, and no code of a folder is run. The tokeniser
lies beside the weights, as a buffer of its JSON, so that a saved encoder needs no other file.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int64, Shaped, UInt8
from torch import Tensor, nn

from nearfar.encoders.huggingface_specs import HuggingFaceSpec, require_weights
from nearfar.encoders.start_origin import Origin, State, fingerprint, short_reason, silent
from nearfar.errors import NearfarError
from nearfar.outside_text import printable
from nearfar.text_bytes import decoded

_KEPT = 100_000
"""Texts whose tokens are kept, for they come again in every epoch."""
_MOST_TOKENS = 512
"""Tokens of a text at most, where a model does not say how many it has places for."""
_LAYER = re.compile(r"\.(?:layer|layers|h|block|blocks)\.(\d+)\.")


class FolderTokens(nn.Module):
    """The tokeniser of a folder: the JSON that the library `tokenizers` writes, as bytes.

    Args:
        most: Tokens of a text at most; what is behind them is left out.
        padding: The token behind the end of a text.
    """

    tokenizer: UInt8[Tensor, " bytes"]

    def __init__(self, most: int, padding: int) -> None:
        super().__init__()
        self.most, self.padding = most, padding
        self.register_buffer("tokenizer", torch.zeros(0, dtype=torch.uint8))

        self.register_load_state_dict_pre_hook(_make_room)

    def forward(
        self, texts: Shaped[Tensor, "batch length"]
    ) -> tuple[Int64[Tensor, "batch tokens"], Int64[Tensor, "batch tokens"]]:
        """Tokens, and 1 where there is one; at least one column."""
        encode = _encoder_of(self.tokenizer.cpu().numpy().tobytes(), self.most)
        rows = [encode(text) for text in decoded(texts.to(torch.uint8))]
        longest = max([1, *map(len, rows)])
        ids = torch.full((len(rows), longest), self.padding, dtype=torch.int64)
        there = torch.zeros_like(ids)
        for row, known in enumerate(rows):
            ids[row, : len(known)] = torch.tensor(known, dtype=torch.int64)
            there[row, : len(known)] = 1
        return ids.to(texts.device), there.to(texts.device)


def _make_room(tokens: nn.Module, state_dict: Mapping[str, Any], prefix: str, *_: Any) -> None:
    """A tokeniser of any length is loaded."""
    held = state_dict.get(f"{prefix}tokenizer")
    if held is not None:
        tokens.tokenizer = torch.empty_like(held, device=tokens.get_buffer("tokenizer").device)


@lru_cache(maxsize=8)
def _encoder_of(tokenizer: bytes, most: int) -> Callable[[str], tuple[int, ...]]:
    """What turns a text into tokens, and remembers what it was asked."""
    from tokenizers import Tokenizer

    try:
        built = Tokenizer.from_str(tokenizer.decode())
    except Exception as error:  # the library has no other
        raise NearfarError(
            f"tokenizer.json: no tokeniser of the library tokenizers ({printable(str(error))})"
        ) from None
    built.no_padding()
    built.enable_truncation(most)

    @lru_cache(maxsize=_KEPT)
    def encode(text: str) -> tuple[int, ...]:
        # One at a time: the library's own threads would warn of every process that is made later.
        return tuple(built.encode(text).ids)

    return encode


class HuggingFaceEncoder(nn.Module):
    """A model of `transformers` at random weights, pooled over its tokens.

    Attributes:
        num_features: Width of its states.
    """

    def __init__(self, spec: HuggingFaceSpec) -> None:
        super().__init__()
        from transformers import AutoConfig, AutoModel

        held = dict(spec.config)
        kind = str(held.pop("model_type"))
        try:
            with silent("transformers"):
                config = AutoConfig.for_model(kind, **held)
                self.model = AutoModel.from_config(config, trust_remote_code=False)
        except Exception as error:  # each model refuses in its own way
            raise NearfarError(
                f"transformers cannot build {printable(kind)} from config.json "
                f"({short_reason(error)})"
            ) from error
        if getattr(self.model, "pooler", None) is not None:
            self.model.pooler = None  # features are states: it would never be trained
        self.pooling = spec.pooling
        self.num_features = int(config.hidden_size)
        self.tokens = FolderTokens(_most_tokens(self.model), int(config.pad_token_id or 0))

    def forward(self, texts: Shaped[Tensor, "batch length"]) -> Float[Tensor, "batch features"]:
        """Features of texts."""
        ids, there = self.tokens(texts)
        # A text without a token is its first place, so that attention has something to look at.
        seen = there.index_fill(1, torch.zeros(1, dtype=torch.int64, device=ids.device), 1)
        states = self.model(input_ids=ids, attention_mask=seen).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        weights = there.to(states.dtype).unsqueeze(2)
        return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)

    def group_matcher(self, coarse: bool = False) -> Callable[[str], int]:  # noqa: ARG002  they are alike
        """How names of parameters make stages and layers, in timm's form: each block is both."""

        def stage(name: str) -> int:
            layer = _LAYER.search(name)
            return 1 + int(layer[1]) if layer else 0

        return stage


def weights_of_folder(spec: HuggingFaceSpec) -> tuple[Origin, State]:
    """The weights of the folder, by the names of the encoder's.

    Raises:
        SettingError: There are none in safetensors.
        NearfarError: They cannot be read, or do not fit config.json.
    """
    from transformers import AutoModel

    require_weights(spec.place)
    try:
        with silent("transformers"):
            model, account = AutoModel.from_pretrained(
                spec.place,
                local_files_only=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype=torch.float32,
            )
    except Exception as error:  # each library under it has its own
        raise NearfarError(
            f"{spec.place}: its weights cannot be read ({short_reason(error)})"
        ) from error
    lacking = [name for name in account["missing_keys"] if not name.startswith("pooler.")]
    if lacking:
        raise NearfarError(
            f"{spec.place}: its weights lack {len(lacking)} tensors of the model, "
            f"{printable(sorted(lacking)[0])} for one"
        )
    state = {
        f"model.{name}": value.detach()
        for name, value in model.state_dict().items()
        if not name.startswith("pooler.")
    }
    return Origin(f"the weights of {spec.place.resolve()}", fingerprint(state)), state


def _most_tokens(model: Any) -> int:
    """How many tokens it has places for; RoBERTa and its kind count from the padding's number."""
    places = getattr(model.config, "max_position_embeddings", None) or _MOST_TOKENS
    embedding = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    behind = getattr(embedding, "padding_idx", None)
    return max(1, places if behind is None else places - behind - 1)
