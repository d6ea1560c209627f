"""A trained encoder as ONNX, normalising included, its answers held to torch's."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nearfar.encoders.saved import Output
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError
from nearfar.modality import in_words

INPUT = "examples"
BATCHES = (1, 5)
"""Sizes of the batches that are compared."""
TOLERANCE = 1e-4
"""Largest error by which answers may differ from torch's, as a share of the largest answer."""
INSTALL = "pip install 'nearfar[onnx]'"


@dataclass(frozen=True)
class ONNXModel:
    """What `onnx_model` made.

    Attributes:
        content: Of the file.
        error: Largest difference from torch's answers, as a share of the largest answer.
        kind: What a value of an example is: `uint8` of images, `float64` of series and vectors.
    """

    content: bytes
    error: float
    kind: str


def onnx_model(encoder: SavedEncoder, *, output: Output = "features") -> ONNXModel:
    """The encoder as an ONNX model of opset 18 or newer, which onnxruntime has run.

    Its input `examples` has any number of rows: images `(batch, channels, size, size)` as uint8, 0
    to 255, already of the encoder's size; series and vectors as float64, so that an offset of any
    size costs no digits. They are normalised inside. Its output is called as `output` is. How
    images are brought to the size stands in its metadata under `nearfar`, as JSON.

    Args:
        encoder: What `load_encoder` gave, on the CPU.
        output: What it gives.

    Raises:
        NearfarError: It takes texts, a package is missing, the network has a part that ONNX does
            not know, or the answers of onnxruntime are not torch's.
    """
    if encoder.modality == "texts":
        raise NearfarError(
            f"{encoder.config.name} finds the tokens of a text by itself, which ONNX cannot: "
            "export --to hub, which nearfar loads"
        )
    runtime = _onnxruntime()
    network = _Whole(encoder).eval()
    example = torch.from_numpy(_examples(encoder, 2))
    rows = torch.export.Dim("batch")
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                network,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[output],
                dynamic_shapes=({0: rows},),
                verbose=False,
            )
            assert program is not None
            model = program.model_proto
    except Exception as error:  # the exporter raises what its parts raise
        reason = " ".join(str(error).split())[:200]
        raise NearfarError(
            f"{encoder.config.name} has a part that torch's exporter cannot put into ONNX: "
            f"{type(error).__name__}: {reason}"
        ) from error
    entry = model.metadata_props.add()
    entry.key, entry.value = "nearfar", json.dumps(preprocessing(encoder))
    content = model.SerializeToString()
    session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
    kind = str(example.dtype).removeprefix("torch.")
    return ONNXModel(content, _largest_error(encoder, session), kind)


def preprocessing(encoder: SavedEncoder) -> dict[str, Any]:
    """What a program in another language must know of the examples, in JSON's own types."""
    known: dict[str, Any] = {
        "modality": encoder.modality,
        "shape": list(encoder.shape),
        "mean": encoder.mean.tolist(),
        "std": encoder.std.tolist(),
        "normalised": "inside: (x - mean) / std, of images x = bytes / 255",
    }
    if encoder.modality == "images":
        known["resize"] = (
            "each side by itself to the last two of shape, bilinear with antialiasing, of float "
            "values and not rounded"
        )
    return known


class _Whole(nn.Module):
    """Normalising and network as one; images come in the encoder's size."""

    mean: Tensor
    std: Tensor

    def __init__(self, encoder: SavedEncoder) -> None:
        super().__init__()
        self.backbone, self.head = encoder.backbone, encoder.head
        self.images = encoder.modality == "images"
        column = (-1, *(1 for _ in encoder.shape[1:]))
        kind = torch.float32 if self.images else torch.float64
        self.register_buffer("mean", encoder.mean.to(kind).view(column))
        self.register_buffer("std", encoder.std.to(kind).view(column))

    def forward(self, examples: Tensor) -> Tensor:
        values = examples.float() / 255 if self.images else examples
        features = self.backbone(((values - self.mean) / self.std).float())
        return features if self.head is None else self.head(features)


def _examples(encoder: SavedEncoder, count: int, seed: int = 0) -> np.ndarray:
    """Random examples of the kind that the encoder learnt from."""
    draws = np.random.default_rng(seed)
    shape = (count, *encoder.shape)
    if encoder.modality == "images":
        return draws.integers(0, 256, shape, dtype=np.uint8)
    column = (-1, *(1 for _ in encoder.shape[1:]))
    mean, std = (each.numpy().reshape(column) for each in (encoder.mean, encoder.std))
    return mean + std * draws.standard_normal(shape)


def _largest_error(encoder: SavedEncoder, session: Any) -> float:
    """Compare answers on batches of several sizes.

    Raises:
        NearfarError: They differ by more than rounding.
    """
    worst = 0.0
    for seed, count in enumerate(BATCHES):
        examples = _examples(encoder, count, seed)
        with torch.inference_mode():
            wanted = encoder(torch.from_numpy(examples)).numpy()
        (found,) = session.run(None, {INPUT: examples})
        if found.shape != wanted.shape:
            raise NearfarError(
                f"onnxruntime answers {count} examples by {found.shape}, torch by {wanted.shape}: "
                "nothing was written"
            )
        error = np.abs(found - wanted).max() / max(float(np.abs(wanted).max()), 1e-12)
        worst = max(worst, float(error)) if np.isfinite(error) else float("inf")
    if worst > TOLERANCE:
        raise NearfarError(
            f"onnxruntime's answers differ from torch's by {worst:.1g} of the largest (allowed: "
            f"{TOLERANCE:g}) on random {in_words(encoder.modality, encoder.shape)}: nothing was "
            "written"
        )
    return worst


def _onnxruntime() -> Any:
    """The package, if it and what torch's exporter needs are there."""
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise NearfarError(f"ONNX needs {error.name}: {INSTALL}") from error
    return onnxruntime


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the exporter's warnings of what it would need for other models."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
