"""Encoders of texts that Hugging Face's `transformers` builds, from a local folder. No torch."""

import json
from dataclasses import field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nearfar.encoders.specs import PRETRAINED, Dropout, EncoderSpec, refuse_elsewhere
from nearfar.errors import NearfarError, SettingError
from nearfar.paths import user_path

if TYPE_CHECKING:
    from torch import Tensor

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob", "dropout", "attention_dropout"),
    *("hidden_dropout", "embd_pdrop", "resid_pdrop", "attn_pdrop", "embedding_dropout"),
    "mlp_dropout",
)
"""What configurations call the shares of units that are dropped."""


class HuggingFaceSpec(EncoderSpec):
    """Any encoder of texts that `transformers` knows, from a local folder with its tokeniser."""

    target: ClassVar[str] = "nearfar.encoders.huggingface:HuggingFaceEncoder"
    takes = "texts"
    pretrained_by = "nearfar.encoders.huggingface:weights_of_folder"
    name: Literal["huggingface"] = "huggingface"
    folder: Path | None = None
    """Folder of config.json, tokenizer.json and model.safetensors; nothing is fetched."""
    pooling: Literal["mean", "cls"] = "mean"
    """Features: the mean over the tokens, or what the first of them becomes."""
    dropout: Dropout | None = None
    """Share of units that are dropped, everywhere; left out, as the folder has it."""
    settings: str | None = None
    """What config.json of the folder says; a run fills it in, and then needs the folder no more."""
    start: str | None = field(default=PRETRAINED, kw_only=True)
    """Weights to begin with: pretrained (the folder's), a run or a file; None: random ones."""

    def check(self) -> None:
        """What reads such folders is there."""
        if self.start is not None and not self.gets_pretrained:
            refuse_elsewhere("encoder.start", self.start)
        if self.start is not None and self.start.startswith(f"{PRETRAINED}:"):
            raise SettingError(f"encoder.start {self.start}: the folder has one set of weights")
        if find_spec("transformers") is None:
            raise SettingError(
                "encoder.name huggingface needs the transformers library: pip install "
                "'nearfar[transformers]', or choose another encoder, such as text-transformer"
            )

    @cached_property
    def config(self) -> dict[str, Any]:
        """What config.json says, with `dropout` in its place.

        Raises:
            SettingError: No folder is named, or it holds no encoder that can be built from it.
            NearfarError: The file is damaged.
        """
        text = self.settings
        where = self.place / CONFIG if text is None else CONFIG
        if text is None:
            text = _read(self.place, CONFIG)
        try:
            held = json.loads(text)
            kind = held["model_type"]
        except (ValueError, KeyError, TypeError):
            raise NearfarError(f"{where}: no configuration of a model of transformers") from None
        if "auto_map" in held:
            raise SettingError(
                f"{where}: {kind} brings code of its own, which nearfar never runs: choose a model "
                "that transformers knows"
            )
        if held.get("is_encoder_decoder"):
            raise SettingError(
                f"{where}: {kind} is an encoder with a decoder: choose an encoder, such as BERT"
            )
        if self.dropout is not None:
            held |= {name: self.dropout for name in DROPOUTS if name in held}
        return held

    @property
    def place(self) -> Path:
        """The folder.

        Raises:
            SettingError: None is named.
        """
        if self.folder is None:
            raise SettingError(
                "encoder.name huggingface: name the folder of the model by --encoder.folder"
            )
        return user_path(self.folder)

    @property
    def draws(self) -> bool:
        """Whether it drops units in training."""
        return any(self.config.get(name) for name in DROPOUTS)

    def with_absolute_start(self) -> "HuggingFaceSpec":
        """The same, its folder looked at and found from everywhere, what it says written down.

        Raises:
            SettingError: The folder or a file of it is missing.
        """
        if self.settings is not None:
            return self
        require_weights(self.place)
        _read(self.place, TOKENIZER)
        settings = json.dumps(json.loads(_read(self.place, CONFIG)), sort_keys=True)
        start = self.start
        if start is not None and not self.gets_pretrained:
            start = str(user_path(start).absolute())
        found = replace(self, folder=self.place.absolute(), settings=settings, start=start)
        found.config  # noqa: B018  refused before any work where it cannot be built
        return found

    @property
    def learnt(self) -> tuple[str, ...]:
        """The tokeniser, which is the folder's."""
        return ("tokens.tokenizer",)

    def learn(self, examples: "Tensor") -> "dict[str, Tensor]":  # noqa: ARG002  the folder's is taken
        """The bytes of tokenizer.json."""
        import torch

        held = _read(self.place, TOKENIZER).encode()
        return {"tokens.tokenizer": torch.frombuffer(bytearray(held), dtype=torch.uint8)}

    def arguments(self, shape: tuple[int, ...]) -> dict[str, Any]:  # noqa: ARG002  any length
        """The spec itself."""
        return {"spec": self}


def require_weights(folder: Path) -> None:
    """Refuse a folder without weights in safetensors.

    Raises:
        SettingError: It is missing, or holds none.
    """
    if not folder.is_dir():
        raise SettingError(f"encoder.folder {folder}: there is no such folder; nothing is fetched")
    if any((folder / name).is_file() for name in WEIGHTS):
        return
    pickled = sorted(each.name for each in folder.glob("*.bin"))
    if pickled:
        raise SettingError(
            f"encoder.folder {folder}: its weights are pickled ({pickled[0]}), and reading them "
            "could run code: where you trust them, save them by transformers as model.safetensors"
        )
    raise SettingError(f"encoder.folder {folder}: there is no {WEIGHTS[0]} in it")


def _read(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        advice = (
            ": save the tokeniser by transformers, as AutoTokenizer.from_pretrained(FOLDER)."
            "save_pretrained(FOLDER)"
            if name == TOKENIZER and folder.is_dir()
            else ""
        )
        raise SettingError(f"encoder.folder {folder}: there is no {name} in it{advice}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise NearfarError(f"{folder / name}: cannot be read ({error})") from None
