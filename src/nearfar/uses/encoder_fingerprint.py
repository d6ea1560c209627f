"""Which encoder features are of, as one text."""

import hashlib
import json

import torch

from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.spec import to_json


def encoder_fingerprint(encoder: SavedEncoder) -> str:
    """One text for an encoder: equal where the weights and what is done around them are equal.

    Where the encoder lies, on which device it is and in which type it computes do not count.

    Returns:
        64 hexadecimal digits.
    """
    said = {
        "encoder": to_json(encoder.config),
        "shape": list(encoder.shape),
        "mean": encoder.mean.tolist(),
        "std": encoder.std.tolist(),
        "features": encoder.num_features,
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        held = tensor.detach().cpu().contiguous().reshape(-1)
        if held.is_floating_point():
            held = held.float()
        digest.update(held.view(torch.uint8).numpy().data)
    return digest.hexdigest()
