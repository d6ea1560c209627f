"""The maps of a run's features as its part of the page shows them, and what they share with it."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from nearfar.data.specs import SourceSpec
from nearfar.evaluation.evaluation_spec import giver_of
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.modality import Modality, one
from nearfar.report.map_chart import classes_in_colour, embedding_map
from nearfar.report.pictures import contact_sheet
from nearfar.report.run_files import RunFiles

SMALL_IMAGE = 40
"""Side in pixels up to which an image is enlarged without smoothing."""


def map_section(run: RunFiles, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the template needs for the maps of one run; a map that there is not is None.

    Args:
        run: The run's files.
        arrays: Of its evaluation, with series drawn.
    """
    modality = modality_of(run.config)
    return {
        "left_out": arrays_left_out(run.left_out),
        "answered_by": giver_of("shown_predictions").short(),
        "one": one(modality),
        "many": modality,
        "map": _map(arrays, one(modality)),
        "embedding_map": _map(of_embedding(arrays), one(modality)),
        "learnt_labels": learnt_labels(run.config),
    }


def _map(arrays: Mapping[str, np.ndarray], one: str) -> dict[str, Any] | None:
    if "shown_map" not in arrays:
        return None
    labels, predictions = arrays.get("shown_labels"), arrays.get("shown_predictions")
    names = class_names(arrays)
    shown = arrays.get("shown_images")
    texts = shown.tolist() if shown is not None and holds_texts(shown) else None
    sheet = None if shown is None or texts is not None else contact_sheet(shown)
    return {
        "figure": embedding_map(arrays, names),
        "count": len(arrays["shown_map"]),
        "labelled": labels is not None,
        "classes": 0 if labels is None else len(np.unique(labels)),
        "coloured": 0 if labels is None else len(classes_in_colour(labels)),
        "listed": [] if labels is None else sorted({names[label] for label in labels.tolist()}),
        "wrong": None
        if labels is None or predictions is None
        else int((labels != predictions).sum()),
        "hover": {
            "sheet": None
            if sheet is None
            else {"uri": sheet.uri, "columns": sheet.columns, "rows": sheet.rows},
            "texts": texts,
            "one": one,
            "answered_by": giver_of("shown_predictions").short(),
            "pixels": has_small_images(arrays),
            "labels": None if labels is None else labels.tolist(),
            "predictions": None if predictions is None else predictions.tolist(),
            "names": names,
        },
    }


def of_embedding(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays with what is the encoder's own replaced by the embedding's, or left out."""
    prefix = "embedding_"
    own = {name.removeprefix(prefix) for name in arrays if name.startswith(prefix)}
    encoders = ("shown_map", "shown_predictions", "gallery_", "neighbor_")
    shared = {name: array for name, array in arrays.items() if not name.startswith(encoders)}
    return shared | {name: arrays[prefix + name] for name in own}


def has_small_images(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether images are so small that their pixels are shown as squares."""
    held = [arrays[name] for name in ("shown_images", "view_originals") if name in arrays]
    return bool(held) and not holds_texts(held[0]) and max(held[0].shape[1:3]) <= SMALL_IMAGE


def class_names(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Given names, or the class numbers where none were given."""
    if "class_names" in arrays:
        return [str(name) for name in arrays["class_names"]]
    counts = [arrays[key].max() + 1 for key in ("shown_labels", "neighbor_labels") if key in arrays]
    counts += [len(arrays[key]) for key in ("class_counts",) if key in arrays]
    counts += [arrays[key][:, :2].max() + 1 for key in ("confusion_cells",) if key in arrays]
    return [str(label) for label in range(int(max(counts, default=0)))]


def holds_texts(array: np.ndarray | None) -> bool:
    """Whether an array of examples holds texts."""
    return array is not None and array.dtype.kind == "U"


def modality_of(config: Mapping[str, Any]) -> Modality:
    """What the run's examples are; images where its source is not known."""
    source = SourceSpec.known().get(config.get("data", {}).get("name"))
    return "images" if source is None else source.modality


def learnt_labels(config: Mapping[str, Any]) -> bool:
    """Whether the encoder learned from labels."""
    method = MethodSpec.known().get(config.get("method", {}).get("name"))
    return method is not None and method.needs_labels


def arrays_left_out(protocols: frozenset[str]) -> set[str]:
    """What the evaluation would hold beside its records, had nothing been left out."""
    known = ProtocolSpec.known()
    return {array for name in protocols if name in known for array in known[name].arrays}
