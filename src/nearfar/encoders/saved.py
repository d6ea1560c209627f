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
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from jaxtyping import Float, Shaped
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional as F

from nearfar.durable_files import make_folder, write_durably
from nearfar.encoders.feature_maps import feature_maps
from nearfar.encoders.head_specs import HeadSpec
from nearfar.encoders.specs import EncoderSpec, in_current_form
from nearfar.errors import NearfarError, SettingError, unknown_name
from nearfar.modality import Modality, channels_of, fixed_sides, in_words
from nearfar.paths import user_path
from nearfar.run_folder import names
from nearfar.run_folder.manifest import (
    json_checksum,
    read_beside_manifest,
    read_file,
    write_beside_manifest,
)
from nearfar.spec import Nested, to_json
from nearfar.standardising import in_float64, standardised
from nearfar.text_bytes import decoded, encoded
from nearfar.torch_defaults import own_defaults

Output = Literal["features", "embedding"]
"""What a loaded encoder gives: what the backbone makes, or that behind the projection head."""
TowerName = Literal["first", "second"]
"""The encoder of the examples, or of what they are paired with (CLIP)."""


@dataclass(frozen=True)
class _Files:
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
    def at(cls, path: Path | str, tower: str | None = None) -> "_Files":
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
    """

    encoder: Nested[EncoderSpec]
    shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_features: int
    weights_sha256: str
    head: HeadDescription | None = None


_DESCRIPTION = TypeAdapter(EncoderDescription)


class SavedEncoder(nn.Module):
    """A trained backbone that takes examples as they are, in eval mode.

    Attributes:
        backbone: The network itself, on normalised examples; for a timm name, timm's own model.
        config: Backbone and how it is adapted.
        shape: Of one example: `(channels, size, size)` that images are brought to,
            `(channels, steps)` of series, `(features,)` of vectors or `(bytes,)` of texts.
        modality: What the examples are: what the backbone takes.
        head: Projection head behind the backbone; None where features are given.
        num_features: Width of what it gives: of the features, or of the head's embeddings.
        mean: Mean of each channel or feature, of images in 0..1 units, float64 on the CPU whatever
            the network's own type and device; `std` likewise.
    """

    def __init__(
        self,
        backbone: nn.Module,
        description: EncoderDescription,
        head: tuple[HeadSpec, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = None if head is None else head[1]
        self.config = description.encoder
        self.shape = description.shape
        self.modality = description.encoder.takes
        width = description.num_features
        self.num_features = width if head is None else head[0].width(width)
        # No buffers: `.bfloat16()` would leave 8 bits of an offset of any size.
        self.mean = torch.tensor(description.mean, dtype=torch.float64)
        self.std = torch.tensor(description.std, dtype=torch.float64)
        self._description = description
        self.eval()

    @property
    def fingerprint(self) -> str:
        """Checksum of all that decides what it gives: weights, head, shape and statistics."""
        held = self._description
        head = None if self.head is None or held.head is None else held.head.weights_sha256
        record = {"weights": held.weights_sha256, "head": head, "shape": list(held.shape)}
        return json_checksum(record | {"mean": list(held.mean), "std": list(held.std)})

    def with_head(self, head: tuple[HeadSpec, nn.Module]) -> "SavedEncoder":
        """The same network, its weights shared, with a head behind it.

        Args:
            head: What `load_head` gave.
        """
        return SavedEncoder(self.backbone, self._description, head)

    def forward(
        self, examples: Shaped[Tensor, "batch *shape"] | Sequence[Any]
    ) -> Float[Tensor, "batch features"]:
        """Features (or embeddings) of images, 0 to 255, of any size, of series, vectors or texts.

        An image of another size is brought to the encoder's, each side by itself, so that the whole
        of it is seen; pad or cut it first where its proportions must stay. Series and vectors are
        normalised in float64: give those with a large offset so.

        Args:
            examples: Images `(batch, channels, height, width)` uint8, series `(batch, channels,
                steps)` or vectors `(batch, features)` of any real type, as the encoder learnt;
                texts as a list of strings or as `nearfar.text_bytes` has them, cut where they are
                longer than those that it learnt.

        Raises:
            NearfarError: The examples are of another kind, or of other channels, steps or features;
                images are not uint8; or a value is not finite.
        """
        rows = examples if isinstance(examples, Tensor) else self._as_rows(examples)
        return self._of_normalised(self._normalised(rows))

    def dense(
        self, images: Shaped[Tensor, "batch *shape"], stage: int = -1
    ) -> Float[Tensor, "batch dim h w"]:
        """Features of each place of images, 0 to 255, of any size: those that are pooled to one.

        An image of another size is brought to the encoder's as `forward` does it, so that the maps
        cover the whole of it. Where the network pools by a mean, as ResNets do, the mean over all
        places is what `forward` gives.

        Args:
            images: `(batch, channels, height, width)` uint8.
            stage: Which of the network's stages: -1 is the last, -2 the one before, whose maps are
                finer.

        Raises:
            NearfarError: The encoder takes no images, gives embeddings, or its network has no such
                maps; or as for `forward`.
        """
        if self.modality != "images":
            raise NearfarError(
                f"features by place are of images, and this encoder takes {self.modality}"
            )
        if self.head is not None:
            raise NearfarError("an embedding has no places: load the encoder with output features")
        examples = self._in_own_type(self._normalised(images))
        return feature_maps(self.backbone, examples, stage)

    def _normalised(self, examples: Tensor) -> Tensor:
        """Examples as the network takes them, checked; images of its own size."""
        self.check(tuple(examples.shape[1:]))
        if self.modality == "texts":
            _check_bytes(examples, _TEXTS)
            return _cut(examples, self.shape[0])
        if self.modality != "images":
            _check_numbers(examples)
            return standardised(examples, self.mean, self.std)
        _check_bytes(examples, _IMAGES)
        pixels = _squashed(examples.float() / 255, self.shape[1])
        mean, std = (
            each.float().view(-1, 1, 1).to(examples.device) for each in (self.mean, self.std)
        )
        return (pixels - mean) / std

    def _as_rows(self, texts: Sequence[Any]) -> Tensor:
        """Strings as rows of bytes, on the device of the network."""
        if self.modality != "texts" or isinstance(texts, str):
            given = "a string alone" if isinstance(texts, str) else type(texts).__name__
            wanted = "a list of strings" if self.modality == "texts" else "a tensor"
            raise NearfarError(
                f"this encoder takes {in_words(self.modality, self.shape)} as {wanted}, not as "
                f"{given}"
            )
        if wrong := [each for each in texts if not isinstance(each, str)]:
            raise NearfarError(
                f"{len(wrong)} of {len(texts)} texts are no strings (such as "
                f"{type(wrong[0]).__name__}): leave out or fill in what is missing"
            )
        first = next(self.backbone.parameters())
        return encoded(texts, self.shape[0])[0].to(first.device)

    def of_views(
        self,
        views: Shaped[Tensor, "batch *shape"],
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Features (or embeddings) of views that another encoder is trained on.

        Args:
            views: Normalised, of any size if images.
            mean: With which mean of each channel or feature; None: with this encoder's.
            std: Standard deviation of each, likewise.
        """
        images = self.modality == "images"
        own = tuple(self.mean.tolist()), tuple(self.std.tolist())
        given = own if mean is None or std is None else (tuple(mean), tuple(std))
        if given != own:
            there = views.device
            views = views if images and views.dtype != torch.float64 else in_float64(views)
            exact = torch.float32 if images and views.dtype != torch.float64 else torch.float64
            sides = (-1, *[1] * (views.ndim - 2))
            of_views, of_own = (
                [torch.tensor(each, dtype=exact, device=views.device).view(sides) for each in pair]
                for pair in (given, own)
            )
            units = views.to(exact) * of_views[1] + of_views[0]
            views = (units - of_own[0]) / of_own[1]
            if views.device != there:
                views = views.float().to(there)
        return self._of_normalised(_squashed(views, self.shape[1]) if images else views)

    def _of_normalised(self, examples: Tensor) -> Tensor:
        """The network's output."""
        features = self.backbone(self._in_own_type(examples))
        return features if self.head is None else self.head(features)

    def _in_own_type(self, examples: Tensor) -> Tensor:
        if self.modality == "texts":
            return examples
        return examples.to(next(self.backbone.parameters(), examples).dtype)

    def check(self, shape: tuple[int, ...], modality: Modality | None = None) -> None:
        """Refuse examples that this encoder cannot take; None where their modality is not known."""
        fixed = fixed_sides(self.modality, self.shape)
        alike = len(shape) == len(self.shape)
        if (
            not alike
            or shape[:fixed] != self.shape[:fixed]
            or modality not in (None, self.modality)
        ):
            given = modality or (self.modality if alike else "examples")
            raise NearfarError(
                f"this encoder takes {in_words(self.modality, self.shape)}, not "
                f"{in_words(given, shape)}"
                + (_layout_advice(shape, self.shape) if self.modality == "images" else "")
            )


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
    """
    named = _Files(folder, *names.TOWERS[tower])
    data = _weights_of(encoder)
    description = EncoderDescription(
        encoder=config,
        shape=tuple(shape),
        mean=tuple(float(value) for value in mean),
        std=tuple(float(value) for value in std),
        num_features=cast(int, encoder.num_features),
        weights_sha256=hashlib.sha256(data).hexdigest(),
    )
    make_folder(folder)
    record = json.loads(_DESCRIPTION.dump_json(description)) | {"encoder": to_json(config)}
    files: dict[str, bytes] = {}
    if head is not None:
        spec, module = head
        files[named.head] = _weights_of(module)
        of_head = hashlib.sha256(files[named.head]).hexdigest()
        record["head"] = {"spec": to_json(spec), "weights_sha256": of_head}
    files |= {named.weights: data, named.settings: _sealed(record)}
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
    files = _Files.at(path, tower)
    description = _read_description(files.folder / files.settings)
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
    files = _Files.at(path)
    return _head_of(files, _read_description(files.folder / files.settings))


def has_second(path: Path | str) -> bool:
    """Whether a run's folder holds the encoder of what its examples were paired with."""
    return (user_path(path) / names.SECOND_SETTINGS).is_file()


def _head_of(files: _Files, description: EncoderDescription) -> tuple[HeadSpec, nn.Module] | None:
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


def _fill(module: nn.Module, files: _Files, name: str, sha256: str) -> None:
    """Give a module the weights of a file."""
    try:
        module.load_state_dict(_read_weights(files, name, sha256), strict=True)
    except RuntimeError as error:
        raise NearfarError(
            f"{files.folder / name} does not fit {files.settings} beside it:"
            f" {' '.join(str(error).split())}"
        ) from error


def _layout_advice(shape: tuple[int, ...], known: tuple[int, ...]) -> str:
    """What to do where images were most likely given in another layout."""
    if len(shape) == 3 and shape[2] == known[0]:
        return "; they look channels last: give x.permute(0, 3, 1, 2)"
    if len(shape) == 2:
        return (
            f"; images are given as a batch (n, {known[0]}, height, width): a single one as x[None]"
            + (", grey ones as x[:, None]" if known[0] == 1 else "")
        )
    return ""


def _check_bytes(examples: Tensor, what: str) -> None:
    """Refuse examples of another type: what their values mean could only be guessed."""
    if examples.dtype != torch.uint8:
        kind = str(examples.dtype).removeprefix("torch.")
        raise NearfarError(f"this encoder takes {what.format(kind=kind)}")


_IMAGES = (
    "images as uint8, 0 to 255, not {kind}: values of 0 to 1, as of torchvision's ToTensor, become "
    "that by (255 * x).round().to(torch.uint8)"
)
_TEXTS = "texts as strings, or as bytes of UTF-8 in uint8, not {kind}"


def _cut(texts: Tensor, length: int) -> Tensor:
    """Texts of at most so many bytes, cut between two characters."""
    if texts.shape[1] <= length or not bool(texts[:, length:].any()):
        return texts[:, :length]
    return encoded(decoded(texts), length)[0].to(texts.device)


def _check_numbers(examples: Tensor) -> None:
    """Refuse values that no normalising makes a number of."""
    if examples.dtype == torch.bool or examples.is_complex():
        kind = str(examples.dtype).removeprefix("torch.")
        raise NearfarError(f"this encoder takes real numbers, not {kind}: convert them first")
    finite = torch.isfinite(examples).flatten(1).all(dim=1)
    if not bool(finite.all()):
        bad = (~finite).nonzero()
        raise NearfarError(
            f"NaN or infinite in {len(bad)} of {len(examples)} examples (first: {int(bad[0, 0])}); "
            "fill in or leave out what is missing"
        )


def _squashed(
    images: Float[Tensor, "batch channels height width"], size: int
) -> Float[Tensor, "batch channels size size"]:
    """The whole image as a square."""
    if images.shape[-2:] == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)


def _read_description(file: Path) -> EncoderDescription:
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
        description = _DESCRIPTION.validate_json(json.dumps(record), strict=True)
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
    return description


def reseal(folder: Path, tower: str) -> None:
    """Take `encoder.json` and the weights beside it as they are, the head's too: new checksums.

    Args:
        folder: That of a run, or another.
        tower: Whose, as in `names.TOWERS`.

    Raises:
        NearfarError: A file is missing, or the description is no JSON object.
    """
    named = _Files(folder, *names.TOWERS[tower])
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
    write_durably(file, _sealed(record))


def _sealed(record: Mapping[str, object]) -> bytes:
    """The description with its own checksum, as the file holds it."""
    return json.dumps({**record, "sha256": json_checksum(record)}, indent=2).encode() + b"\n"


def _accepting(file: Path) -> str:
    """How to use a file that is not as it was written."""
    command = shlex.join(["nearfar", "accept", str(file.parent), file.name])
    return f"put the right one back, or take it as it is with `{command}`"


def _read_weights(files: _Files, name: str, sha256: str) -> dict[str, Tensor]:
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


def _read(file: Path, *, as_it_is: bool = False) -> bytes:
    """A file's content, or one line on why not."""
    try:
        return read_file(file) if as_it_is else read_beside_manifest(file.parent, file.name)
    except FileNotFoundError as error:
        raise NearfarError(
            f"no trained encoder in {file.parent}: there is no {file.name}; a run writes it"
            f" when its training ends (an unfinished one: nearfar train --resume {file.parent})"
        ) from error
