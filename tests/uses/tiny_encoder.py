"""Encoders with random weights, quick to make, for each kind of examples."""

from pathlib import Path
from typing import cast

import torch

from nearfar.encoders.saved import load_encoder, save_encoder
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.encoders.specs import EncoderSpec

KINDS = {
    "images": ({"name": "small-resnet", "width": 4}, (1, 8, 8)),
    "vectors": ({"name": "mlp"}, (13,)),
    "series": ({"name": "series-resnet", "width": 4}, (12, 29)),
}


def write_encoder(folder: Path, kind: str = "images", seed: int = 0, *, head: bool = False) -> Path:
    """A folder with an encoder in it, and a projection head where that is asked for."""
    from nearfar.encoders.head_specs import MLPHeadSpec
    from nearfar.spec import as_spec

    settings, shape = KINDS[kind]
    spec = as_spec(EncoderSpec, settings)
    torch.manual_seed(seed)
    backbone = spec.build(shape)
    plain = [0.0] * shape[0], [1.0] * shape[0]
    of_head = MLPHeadSpec(hidden=8, dim=5)
    behind = (of_head, of_head.build(cast(int, backbone.num_features))) if head else None
    save_encoder(folder, backbone, spec, shape=shape, mean=plain[0], std=plain[1], head=behind)
    return folder


def tiny_encoder(folder: Path, kind: str = "images", seed: int = 0) -> SavedEncoder:
    """The encoder that `write_encoder` writes."""
    return load_encoder(write_encoder(folder, kind, seed))
