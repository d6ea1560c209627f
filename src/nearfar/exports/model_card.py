"""The README of a model on the Hugging Face Hub: what it learnt from, how, and how good it is."""

from collections.abc import Sequence
from typing import Any

from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.modality import in_words
from nearfar.recipes.recipe import Recipe
from nearfar.report.scores import FEATURES, Row, score_rows, shown_interval
from nearfar.report.verdict import percent
from nearfar.run_folder.names import KEPT_EPOCH

_TIMM_USE = """```python
import timm
from PIL import Image

model = timm.create_model("hf-hub:USER/NAME", pretrained=True).eval()  # or local-dir:FOLDER
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
features = model(transform(Image.open("picture.png").convert("{mode}"))[None])  # (1, {width})
```"""
_OWN_USE = """```python
from huggingface_hub import snapshot_download
from nearfar import load_encoder

encoder = load_encoder(snapshot_download("USER/NAME"))  # or a folder
features = encoder(examples)  # {shape}, {kind}, to (n, {width})
```"""


def model_card(
    encoder: SavedEncoder,
    recipe: Recipe,
    records: Sequence[dict[str, Any]],
    environment: dict[str, Any],
    *,
    licence: str | None,
    by_timm: bool,
) -> str:
    """Markdown with the Hub's metadata above it.

    Args:
        encoder: What is in the folder.
        recipe: Of the run.
        records: Of its evaluation; empty where it was not judged.
        environment: Of its training.
        licence: Of the weights, in the Hub's words; None where nobody has said.
        by_timm: Whether timm loads the folder; otherwise nearfar does.
    """
    from huggingface_hub import ModelCardData

    metadata = ModelCardData(
        library_name="timm" if by_timm else "nearfar",
        license=licence,
        tags=["feature-extraction", "self-supervised-learning", recipe.method.name],
        pipeline_tag="image-feature-extraction" if encoder.modality == "images" else None,
    )
    use = _TIMM_USE if by_timm else _OWN_USE
    mode = "L" if encoder.shape[0] == 1 else "RGB"
    kinds = {"images": "uint8", "texts": "bytes of UTF-8 as uint8, or a list of strings"}
    kind = kinds.get(encoder.modality, "real numbers")
    shape = f"(n, {', '.join(map(str, encoder.shape))})"
    use = use.format(mode=mode, width=encoder.num_features, shape=shape, kind=kind)
    said = licence or "not stated by who exported them: ask before you use them"
    sections = [
        f"---\n{metadata.to_yaml()}\n---",
        f"# {encoder.config.name}, trained by {recipe.method.title}",
        f"Turns {in_words(encoder.modality, encoder.shape)} into {encoder.num_features} features. "
        "Trained with nearfar.",
        "## How to load it\n\n" + use,
        "## What it learnt from\n\n" + "\n".join(_data(recipe)),
        "## How\n\n" + "\n".join(_training(recipe, environment)),
        "## How good it is\n\n" + _figures(records),
        f"## Licence\n\nOf the weights: {said}.",
    ]
    return "\n\n".join(sections) + "\n"


def _data(recipe: Recipe) -> list[str]:
    source = type(recipe.data)
    facts = {
        "Source": recipe.data.name + (f", {source.summary}" if source.summary else ""),
        "Size": source.size,
        "Licence of the data": source.licence,
        "Cite": source.citation or "",
        "Labels": "used in training" if recipe.method.needs_labels else "not used in training",
    }
    return [f"- {name}: {_plain(fact)}" for name, fact in facts.items() if fact]


def _training(recipe: Recipe, environment: dict[str, Any]) -> list[str]:
    training = recipe.training
    versions = ", ".join(f"{name} {value}" for name, value in environment["versions"].items())
    chosen, kept = environment.get(KEPT_EPOCH), "the last epoch is kept"
    if chosen is not None:
        kept = f"epoch {chosen['epoch']} is kept, chosen by kNN on held-out training examples"
    return [
        f"- Method: {recipe.method.title}",
        f"- {training.epochs} epochs, batches of {training.batch_size}, seed {recipe.seed}; {kept}",
        f"- {_plain(environment['hardware'])}; Python {environment['python']}, {_plain(versions)}",
    ]


def _figures(records: Sequence[dict[str, Any]]) -> str:
    """Each protocol's figures, with their uncertainty, beside the baselines'."""
    rows = [row for row in score_rows(records) if row.scores]
    if not rows:
        return "Not judged."
    features = [name for name in FEATURES if any(name in row.scores for row in rows)]
    lines = [
        "| protocol | " + " | ".join(FEATURES[name] for name in features) + " |",
        "| --- |" + " ---: |" * len(features),
    ]
    for row in rows:
        title = row.title + (f", {row.detail}" if row.detail else "")
        cells = [_cell(row, name) for name in features]
        lines.append(f"| {_plain(title)} | {' | '.join(cells)} |")
    return (
        "Top-1 accuracy in % on test examples unless a row says otherwise, of this one run; in "
        "brackets the binomial 95 % interval, or mean ± sd over draws of few labels.\n\n"
        + "\n".join(lines)
    )


def _cell(row: Row, name: str) -> str:
    score = row.scores.get(name)
    if score is None:
        return ""
    if not row.is_accuracy:
        return f"{score.value:.3f}"
    low, high = shown_interval(score)
    if low == high:
        return percent(score.value)
    return f"{percent(score.value)} ({percent(low)} to {percent(high)})"


def _plain(text: str) -> str:
    """Text from outside as one line that Markdown and HTML take as it is."""
    escaped = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{sign}" if sign in "|`*_[]" else sign for sign in escaped)
