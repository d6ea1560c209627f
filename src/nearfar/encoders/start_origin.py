"""Where the weights come from that an encoder may begin with: timm, a run, or a file of weights.

Nothing that is read is executed: weights are tensors by name, and nothing else is taken.
"""

import argparse
import hashlib
import logging
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from nearfar.encoders.saved import load_encoder
from nearfar.encoders.specs import PRETRAINED, TIMM_PREFIX, EncoderSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.modality import Modality
from nearfar.outside_text import first_line, printable
from nearfar.paths import user_path
from nearfar.plugins import imported
from nearfar.run_folder import names
from nearfar.table_features import TableFeature

State = Mapping[str, Tensor]
NESTED = ("state_dict", "model_state_dict", "model", "teacher", "student", "net", "network")
"""What checkpoints of training programs hold the weights under."""


@dataclass(frozen=True)
class Origin:
    """What is known of weights that an encoder begins with, in JSON's own types.

    Attributes:
        title: What they are, in words.
        sha256: Of their names, shapes and values.
        shape: Of the examples that they were trained on; None where that is not known.
        mean: With which these were normalised; None where that is not known.
        std: Likewise.
        head: Of the projection head beside them, as sha256 is of the encoder, where it is to be
            taken over too; None where it is not, or there is none.
        columns: What each feature of the vectors that they were trained on is of a table; None
            where that is not known.
    """

    title: str
    sha256: str
    shape: tuple[int, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    head: str | None = None
    columns: tuple[TableFeature, ...] | None = None

    def statistics(
        self, channels: int, modality: Modality
    ) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and deviation for examples of so many channels or features; None: not known.

        Of images of other channels, grey ones have the mean over the origin's channels and others
        repeat them, as timm adapts the first layer.
        """
        if self.mean is None or self.std is None:
            return None
        known = len(self.mean)
        if known == channels:
            return self.mean, self.std
        if modality != "images":
            return None
        if channels == 1:
            return (sum(self.mean) / known,), (sum(self.std) / known,)
        around = [channel % known for channel in range(channels)]
        return tuple(self.mean[c] for c in around), tuple(self.std[c] for c in around)

    def same(self, other: "Origin") -> bool:
        """Whether these are the very weights of another reading."""
        return (self.sha256, self.head) == (other.sha256, other.head)

    def as_json(self) -> dict[str, Any]:
        """As it stands in the run's `start.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Origin":
        """What `as_json` gave."""
        known = (record.get(name) for name in ("shape", "mean", "std"))
        shape, mean, std = (None if each is None else tuple(each) for each in known)
        held = record.get("columns")
        columns = None if held is None else tuple(TableFeature(**each) for each in held)
        head = record.get("head")
        return cls(record["title"], record["sha256"], shape, mean, std, head, columns)


def read_start(spec: EncoderSpec, setting: str = "encoder.start") -> tuple[Origin, State]:
    """The weights that a spec's `start` names.

    Args:
        spec: Backbone and start.
        setting: What a person set the start by, for messages.

    Raises:
        SettingError: There is no such start, or it is not for this backbone.
        NearfarError: It cannot be read, or holds no weights.
    """
    start = spec.start
    assert start is not None
    asked = f"{setting} {start}"
    if spec.gets_pretrained and spec.pretrained_by:
        return imported(spec.pretrained_by)(spec)
    if spec.gets_pretrained:
        option = f"--{setting.replace('_', '-')} FILE"
        return _of_timm(spec, start.partition(":")[2], asked, option)
    path = user_path(start)
    if is_run(start):
        return _of_run(path)
    if not path.is_file():
        raise SettingError(
            f"{asked}: no such run or file of weights; timm's own are called {PRETRAINED}"
        )
    read = _safetensors if path.suffix == ".safetensors" else _torch_checkpoint
    state = read(path, f"{setting} {path}")
    return Origin(f"the file {path.resolve()}", fingerprint(state)), state


def is_run(start: str) -> bool:
    """Whether a start is the encoder of a run, named by the run or by its encoder's files."""
    path = user_path(start)
    weights, settings, _ = names.TOWERS[names.tower_of(path.name)]
    if path.name == weights:
        return (path.parent / settings).is_file()
    return path.is_dir() or path.name == settings


def _of_run(path: Path) -> tuple[Origin, State]:
    """The encoder of a run, as it lies beside its description."""
    encoder = load_encoder(path)
    state = encoder.backbone.state_dict()
    folder = path if path.is_dir() else path.parent
    which = "second encoder" if names.tower_of(path.name) == "second" else "encoder"
    return Origin(
        f"the {which} of the run {folder.resolve()} ({encoder.config.name})",
        fingerprint(state),
        encoder.shape,
        tuple(encoder.mean.tolist()),
        tuple(encoder.std.tolist()),
        columns=encoder.columns,
    ), state


def _of_timm(spec: EncoderSpec, tag: str, asked: str, option: str) -> tuple[Origin, State]:
    """Timm's own weights, from its cache or the network."""
    # Here, because timm takes a second to import and other starts do without.
    import timm
    from timm.models import get_pretrained_cfg, list_pretrained

    name = spec.name.removeprefix(TIMM_PREFIX)
    tags = [known.partition(".")[2] for known in list_pretrained(f"{name}.*")]
    if not tags or (tag and tag not in tags):
        said = f"it has {', '.join(tags)}" if tags else "choose another backbone, or no start"
        raise SettingError(f"{asked}: timm has no such weights of {name}; {said}")
    full = f"{name}.{tag or tags[0]}" if tag else name
    found = get_pretrained_cfg(full)
    assert found is not None
    full = f"{name}.{found.tag}" if found.tag else name
    try:
        with silent("huggingface_hub"):
            model = timm.create_model(full, pretrained=True, num_classes=0)
    except Exception as error:  # of the network, the Hub or the file: each library has its own
        raise NearfarError(
            f"{asked}: timm's weights {full} are neither in the cache nor to be had "
            f"({short_reason(error)}): connect this machine once, copy the cache of one that has "
            "them (the folder that HF_HOME names, else ~/.cache/huggingface), or give a file of "
            f"weights as {option}"
        ) from error
    state = model.state_dict()
    return Origin(
        f"timm's weights {full}",
        fingerprint(state),
        tuple(found.input_size),
        tuple(found.mean),
        tuple(found.std),
    ), state


@contextmanager
def silent(library: str) -> Iterator[None]:
    """Without a library's own warnings, for nearfar says once, at the end, what is wrong.

    Args:
        library: Name of its logger.
    """
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _safetensors(path: Path, asked: str) -> State:
    try:
        return safetensors.torch.load_file(path)
    except (OSError, SafetensorError) as error:
        raise NearfarError(f"{asked}: no safetensors file ({error})") from error


def _torch_checkpoint(path: Path, asked: str) -> State:
    """The weights of a torch checkpoint, taken out of what holds them; no code in it runs."""
    try:
        # Programs of training keep their arguments beside the weights: names and values alone.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a file that is then refused or read
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise NearfarError(
            f"{asked}: it holds more than weights, or no torch checkpoint "
            f"({short_reason(error)}): nothing of it was executed; where you trust it, save its "
            "weights alone with torch.save(model.state_dict(), FILE)"
        ) from error
    except Exception as error:  # a damaged archive has many
        raise NearfarError(
            f"{asked}: it cannot be read as a torch checkpoint "
            f"({short_reason(error)}): give a run, a .safetensors file or a state_dict"
        ) from error
    while isinstance(content, Mapping):
        inner = next((content[key] for key in NESTED if _is_mapping(content.get(key))), None)
        if inner is None:
            break
        content = inner
    state = {
        str(name): value
        for name, value in (content.items() if isinstance(content, Mapping) else ())
        if isinstance(value, Tensor)
    }
    if not state:
        raise NearfarError(
            f"{asked}: it holds no weights by name, neither at the top nor under "
            f"{', '.join(NESTED)}: save them with torch.save(model.state_dict(), FILE)"
        )
    return state


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and len(value) > 0


def fingerprint(state: State) -> str:
    """Of names, types, shapes and values, whatever their order."""
    digest = hashlib.sha256()
    for name in sorted(state):
        held = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {held.dtype} {tuple(held.shape)}\n".encode())
        digest.update(held.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def short_reason(error: Exception) -> str:
    """What a library says went wrong, short enough to stand within a line of ours."""
    return printable(first_line(error))[:160]
