"""A trained encoder on disk: weights in safetensors, and in JSON how to build what they fill.

For a timm backbone the weights carry timm's own names, so that they load into timm's model:

    model = timm.create_model("resnet18", num_classes=0, in_chans=3)
    model.load_state_dict(safetensors.torch.load_file("encoder.safetensors"), strict=True)

With the small stem, give the model the same stem before loading:

    model.conv1 = torch.nn.Conv2d(3, 64, 3, 1, padding=1, bias=False)
    model.maxpool = torch.nn.Identity()
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, cast, get_args

from safetensors.torch import save
from torch import nn

from nearfar.durable_files import make_folder
from nearfar.encoders.encoder_files import (
    DESCRIPTION,
    EncoderDescription,
    EncoderFiles,
    read_description,
    read_weights,
    sealed,
)
from nearfar.encoders.head_specs import HeadSpec
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import EncoderSpec
from nearfar.errors import NearfarError, unknown_name
from nearfar.paths import user_path
from nearfar.run_folder import names
from nearfar.run_folder.manifest import write_beside_manifest
from nearfar.spec import to_json
from nearfar.table_features import TableFeature
from nearfar.torch_defaults import own_defaults

Output = Literal["features", "embedding"]
"""What a loaded encoder gives: what the backbone makes, or that behind the projection head."""

TowerName = Literal["first", "second"]
"""The encoder of the examples, or of what they are paired with (CLIP)."""


def save_encoder(
    folder: Path,
    encoder: nn.Module,
    config: EncoderSpec,
    *,
    shape: tuple[int, ...],
    mean: Sequence[float],
    std: Sequence[float],
    head: tuple[HeadSpec, nn.Module] | None = None,
    tower: TowerName = "first",
    columns: tuple[TableFeature, ...] | None = None,
) -> None:
    """Write `encoder.safetensors` and `encoder.json` into a folder, each whole or not at all.

    With a head, `head.safetensors` is written before them. The files of a second encoder have names
    of their own, `second_encoder.safetensors` for one.

    Args:
        folder: Where; made if missing.
        encoder: What `config.build(shape)` gave, trained.
        config: What it was built from.
        shape: Of the examples it was trained on.
        mean: Mean of each channel or feature with which they were normalised; of images in 0..1
            units.
        std: Standard deviation of each channel or feature, likewise.
        head: How the projection head is built, and the trained one; None where there is none.
        tower: Which encoder of the run it is.
        columns: What each feature of vectors is of a table; None where that is not known.
    """
    named = EncoderFiles(folder, *names.TOWERS[tower])
    data = _weights_of(encoder)
    description = EncoderDescription(
        encoder=config,
        shape=tuple(shape),
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        num_features=cast(int, encoder.num_features),
        weights_sha256=hashlib.sha256(data).hexdigest(),
        columns=columns,
    )
    make_folder(folder)
    record = json.loads(DESCRIPTION.dump_json(description)) | {"encoder": to_json(config)}
    files: dict[str, bytes] = {}
    if head is not None:
        spec, module = head
        files[named.head] = _weights_of(module)
        of_head = hashlib.sha256(files[named.head]).hexdigest()
        record["head"] = {"spec": to_json(spec), "weights_sha256": of_head}
    files |= {named.weights: data, named.settings: sealed(record)}
    write_beside_manifest(folder, files)


@own_defaults()
def load_encoder(
    path: Path | str, output: Output = "features", *, tower: TowerName | None = None
) -> SavedEncoder:
    """A trained encoder, ready for examples, on the CPU and in eval mode.

    Args:
        path: A run's folder, or its `encoder.safetensors`, `encoder.json` or `head.safetensors`; or
            such a file of its second encoder, as `second_encoder.json`.
        output: `features` of the backbone, or `embedding`: what the projection head makes of them,
            which is what the method's loss compared, not normalised.
        tower: The encoder of the examples, or of what they were paired with (CLIP); left out, the
            one that `path` names.

    Raises:
        NearfarError: A file is missing or damaged, or the weights do not fit the description; or an
            embedding is asked for and the run has no head.
        SettingError: There is no such output or tower.
    """
    if output not in get_args(Output):
        raise unknown_name("output", output, get_args(Output))
    if tower is not None and tower not in names.TOWERS:
        raise unknown_name("tower", tower, names.TOWERS)
    files = EncoderFiles.at(path, tower)
    description = read_description(files.folder / files.settings)
    backbone = description.encoder.build(description.shape)
    _fill(backbone, files, files.weights, description.weights_sha256)
    encoder = SavedEncoder(backbone, description)
    if output == "features":
        return encoder
    head = _head_of(files, description)
    if head is None:
        raise NearfarError(
            f"{files.folder} holds no {files.head}, so it has no embedding: its method has no "
            "projection head, or an earlier nearfar did not keep it: ask for output features"
        )
    return encoder.with_head(head)


@own_defaults()
def load_head(path: Path | str) -> tuple[HeadSpec, nn.Module] | None:
    """The projection head of a run, on the CPU and in eval mode, and how it is built.

    Args:
        path: As for `load_encoder`.

    Returns:
        None where the run has none.

    Raises:
        NearfarError: A file is missing or damaged, or the weights do not fit the description.
    """
    files = EncoderFiles.at(path)
    return _head_of(files, read_description(files.folder / files.settings))


def has_second(path: Path | str) -> bool:
    """Whether a run's folder holds the encoder of what its examples were paired with."""
    return (user_path(path) / names.SECOND_SETTINGS).is_file()


def _head_of(
    files: EncoderFiles, description: EncoderDescription
) -> tuple[HeadSpec, nn.Module] | None:
    if description.head is None:
        return None
    spec = description.head.spec
    head = spec.build(description.num_features)
    _fill(head, files, files.head, description.head.weights_sha256)
    return spec, head.eval()


def _weights_of(module: nn.Module) -> bytes:
    """All parameters and buffers as safetensors."""
    state = module.state_dict().items()
    return save({name: tensor.detach().cpu().contiguous() for name, tensor in state})


def _fill(module: nn.Module, files: EncoderFiles, name: str, sha256: str) -> None:
    """Give a module the weights of a file."""
    try:
        module.load_state_dict(read_weights(files, name, sha256), strict=True)
    except RuntimeError as error:
        raise NearfarError(
            f"{files.folder / name} does not fit {files.settings} beside it:"
            f" {' '.join(str(error).split())}"
        ) from error
