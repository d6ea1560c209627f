"""The files of a trained encoder: where they lie, what they must hold, how they are sealed."""

import hashlib
import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from nearfar.durable_files import write_durably
from nearfar.encoders.head_specs import HeadSpec
from nearfar.encoders.specs import EncoderSpec, in_current_form
from nearfar.errors import NearfarError, SettingError
from nearfar.modality import channels_of
from nearfar.paths import user_path
from nearfar.run_folder import names
from nearfar.run_folder.manifest import json_checksum, read_beside_manifest, read_file
from nearfar.spec import Nested
from nearfar.table_features import TableFeature


@dataclass(frozen=True)
class EncoderFiles:
    """Where an encoder lies.

    Attributes:
        folder: Of its run.
        weights: Name of the file.
        settings: Likewise.
        head: Likewise.
    """

    folder: Path
    weights: str
    settings: str
    head: str

    @classmethod
    def at(cls, path: Path | str, tower: str | None = None) -> "EncoderFiles":
        """Those of a folder, or of one that is named by one of its files."""
        path = user_path(path)
        for name, files in names.TOWERS.items():
            if path.name in files:
                if tower not in (None, name):
                    raise SettingError(f"{path} is of the {name} encoder, and not the {tower}")
                return cls(path.parent, *files)
        return cls(path, *names.TOWERS[tower or "first"])


@dataclass(frozen=True)
class HeadDescription:
    """What `encoder.json` holds of the head beside it.

    Attributes:
        spec: How it is built for the encoder's features.
        weights_sha256: Of the head's file.
    """

    spec: Nested[HeadSpec]
    weights_sha256: str


@dataclass(frozen=True)
class EncoderDescription:
    """What `encoder.json` holds.

    Attributes:
        encoder: Backbone and how it is adapted.
        shape: Of one example: `(channels, size, size)` that images are brought to,
            `(channels, steps)` of series, `(features,)` of vectors or `(bytes,)` of texts.
        mean: Mean of each channel or feature that normalises the examples; of images in 0..1 units;
            texts have none.
        std: Standard deviation of each channel or feature, likewise.
        num_features: Width of the features.
        weights_sha256: Of the weights' file, so that damage shows and no two runs' files mix.
        head: The projection head that was trained with it; None where the method has none.
        columns: What each feature of vectors is of a table; None where that is not known.
    """

    encoder: Nested[EncoderSpec]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_features: int
    weights_sha256: str
    head: HeadDescription | None = None
    columns: tuple[TableFeature, ...] | None = None


DESCRIPTION = TypeAdapter(EncoderDescription)


def read_description(file: Path) -> EncoderDescription:
    """What `encoder.json` says, if it is as it was written.

    Raises:
        NearfarError: It is missing, damaged or was changed by hand.
    """
    text = _read(file)
    try:
        record = json.loads(text)
        claimed = record.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise NearfarError(
            f"{file} is damaged, or of an earlier nearfar, which gave it no checksum: "
            f"{_accepting(file)}"
        ) from None
    if claimed != json_checksum(record):
        raise NearfarError(
            f"{file} is damaged or was changed by hand: its checksum does not match; "
            f"{_accepting(file)}"
        )
    try:
        record["encoder"] = in_current_form(record["encoder"])
        description = DESCRIPTION.validate_json(json.dumps(record), strict=True)
    except (KeyError, AttributeError) as error:
        raise NearfarError(f"{file} is damaged: encoder: its settings are missing") from error
    except SettingError as error:
        raise NearfarError(f"{file} is damaged: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise NearfarError(f"{file} is damaged: {where}: {first['msg']}") from error
    shape = description.shape
    if min(shape, default=0) < 1:
        raise NearfarError(f"{file} is damaged: shape {shape} is of no example")
    channels = channels_of(description.encoder.takes, shape)
    if not len(description.mean) == len(description.std) == channels:
        raise NearfarError(
            f"{file} is damaged: mean and std must have one value for each of the"
            f" {channels} channels or features"
        )
    if not all(math.isfinite(value) for value in description.mean):
        raise NearfarError(f"{file} is damaged: a mean is not finite")
    if not all(math.isfinite(value) and value > 0 for value in description.std):
        raise NearfarError(f"{file} is damaged: a std is not above 0 and finite")
    if description.columns is not None and len(description.columns) != channels:
        raise NearfarError(
            f"{file} is damaged: it must say of each of {channels} features what it is"
        )
    return description


def read_weights(files: EncoderFiles, name: str, sha256: str) -> dict[str, Tensor]:
    """The weights, if they are the very ones that were written."""
    file = files.folder / name
    data = _read(file)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise NearfarError(
            f"{file} is damaged or of another run: its checksum is not the one in"
            f" {files.settings}; copy both files again, train again, or {_accepting(file)}"
        )
    try:
        return load(data)
    except SafetensorError as error:
        raise NearfarError(f"{file} is no safetensors file: {error}") from error


def reseal(folder: Path, tower: str) -> None:
    """Take `encoder.json` and the weights beside it as they are, the head's too: new checksums.

    Args:
        folder: That of a run, or another.
        tower: Whose, as in `names.TOWERS`.

    Raises:
        NearfarError: A file is missing, or the description is no JSON object.
    """
    named = EncoderFiles(folder, *names.TOWERS[tower])
    file = folder / named.settings
    try:
        record = json.loads(_read(file, as_it_is=True))
    except ValueError as error:
        raise NearfarError(f"{file} is damaged: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise NearfarError(f"{file} is damaged: not a JSON object")
    record.pop("sha256", None)
    weights = _read(folder / named.weights, as_it_is=True)
    record["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    head = record.get("head")
    if isinstance(head, dict) and (folder / named.head).is_file():
        weights = _read(folder / named.head, as_it_is=True)
        head["weights_sha256"] = hashlib.sha256(weights).hexdigest()
    write_durably(file, sealed(record))


def sealed(record: Mapping[str, object]) -> bytes:
    """The description with its own checksum, as the file holds it."""
    return json.dumps({**record, "sha256": json_checksum(record)}, indent=2).encode() + b"\n"


def _accepting(file: Path) -> str:
    """How to use a file that is not as it was written."""
    command = shlex.join(["nearfar", "accept", str(file.parent), file.name])
    return f"put the right one back, or take it as it is with `{command}`"


def _read(file: Path, *, as_it_is: bool = False) -> bytes:
    """A file's content, or one line on why not."""
    try:
        return read_file(file) if as_it_is else read_beside_manifest(file.parent, file.name)
    except FileNotFoundError as error:
        raise NearfarError(
            f"no trained encoder in {file.parent}: there is no {file.name}; a run writes it"
            f" when its training ends (an unfinished one: nearfar train --resume {file.parent})"
        ) from error
