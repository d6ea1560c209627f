"""A trained timm backbone as a folder that timm itself loads."""

import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import TIMM_PREFIX, TimmSpec
from nearfar.errors import NearfarError

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def timm_files(encoder: SavedEncoder) -> dict[str, bytes]:
    """`config.json` and `model.safetensors`, which `timm.create_model("local-dir:FOLDER")` loads.

    The configuration keeps mean, std and size, so that `timm.data.resolve_model_data_config` makes
    the right transform: the whole picture, squashed to a square.

    Args:
        encoder: What `load_encoder` gave.

    Raises:
        NearfarError: It is not one of timm's models as timm knows it, or timm does not load it to
            the same answers.
    """
    if why := why_not_timm(encoder):
        raise NearfarError(why)
    from timm.models import save_for_hf

    with tempfile.TemporaryDirectory() as place:
        save_for_hf(
            encoder.backbone,
            place,
            model_config={"pretrained_cfg": _preprocessing(encoder)},
            safe_serialization=True,
        )
        _require_same_answers(encoder, Path(place))
        files = {name: (Path(place) / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    # As the file is read by people too.
    files[CONFIG] = json.dumps(json.loads(files[CONFIG]), indent=2).encode() + b"\n"
    return files


def why_not_timm(encoder: SavedEncoder) -> str | None:
    """Why timm cannot build this network; None where it can."""
    config = encoder.config
    if not isinstance(config, TimmSpec):
        return f"timm has no {config.name}: export --to onnx, or --to hub, which nearfar loads"
    if config.stem != "standard":
        return (
            f"{config.name} has a small stem here, which timm does not build by name: export --to "
            "onnx, or --to hub, which nearfar loads"
        )
    return None


def _preprocessing(encoder: SavedEncoder) -> dict[str, Any]:
    """In the words of timm's configurations."""
    return {
        "input_size": encoder.shape,
        "mean": tuple(encoder.mean.tolist()),
        "std": tuple(encoder.std.tolist()),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "num_classes": 0,
        "classifier": None,
        "tag": "nearfar",
    }


def _require_same_answers(encoder: SavedEncoder, folder: Path) -> None:
    """Load the folder as a user does, and compare one batch to the bit."""
    import timm

    name = encoder.config.name.removeprefix(TIMM_PREFIX)
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2, *encoder.shape), dtype=torch.uint8, generator=draws)
    mean, std = (each.float().view(-1, 1, 1) for each in (encoder.mean, encoder.std))
    with torch.inference_mode():
        same = torch.equal(model((images.float() / 255 - mean) / std), encoder(images))
    if not same:
        raise NearfarError(
            f"timm loads {name} to other answers than nearfar: nothing was written; export --to "
            "onnx or hub, and tell us"
        )
