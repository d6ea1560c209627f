"""The linear classifier that a method trained with its encoder, on disk: safetensors, no pickle."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from nearfar.durable_files import make_folder
from nearfar.errors import NearfarError
from nearfar.run_folder import names
from nearfar.run_folder.manifest import read_beside_manifest, write_beside_manifest


def save_classifier(folder: Path, classifier: nn.Linear) -> None:
    """Write `classifier.safetensors` into a folder, whole or not at all."""
    tensors = {
        name: tensor.detach().float().cpu().contiguous()
        for name, tensor in classifier.state_dict().items()
    }
    make_folder(folder)
    write_beside_manifest(folder, {names.CLASSIFIER: save(tensors)})


def load_classifier(folder: Path, *, num_features: int) -> nn.Linear | None:
    """The classifier of a run, on the CPU; None where its method has none.

    Raises:
        NearfarError: The file is damaged, not the one that the run wrote, or does not fit the
            encoder beside it.
    """
    file = folder / names.CLASSIFIER
    try:
        tensors = load(read_beside_manifest(folder, names.CLASSIFIER))
    except FileNotFoundError:
        return None
    except SafetensorError as error:
        raise NearfarError(f"{file} is no safetensors file: {error}") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    classes = shapes.get("bias", (0,))[0] if len(shapes.get("bias", (0,))) == 1 else 0
    if classes == 0 or shapes != {"weight": (classes, num_features), "bias": (classes,)}:
        raise NearfarError(
            f"{file} does not fit the encoder beside it: a weight (classes, {num_features}) and a "
            f"bias (classes,) are wanted, and it holds {shapes}; train again"
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise NearfarError(f"{file} holds weights that are not finite: train again")
    # On no device at first: nothing is drawn for weights that are replaced at once.
    classifier = nn.Linear(num_features, classes, device="meta")
    classifier.load_state_dict(
        {name: tensor.float() for name, tensor in tensors.items()}, assign=True
    )
    return classifier.eval()
