"""Test examples of a run and what its encoder finds nearest to them in the training part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.data.source import Part, Source, choose
from nearfar.data.source_spec import PublicSpec, SourceSpec
from nearfar.data.sources import load_source
from nearfar.encoders.saved import SavedEncoder, load_encoder
from nearfar.evaluation.pictures import readable
from nearfar.outside_text import printable
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.data_root import refuse_lost_data
from nearfar.uses.embed import Examples, features_of
from nearfar.uses.neighbors import Searchable
from nearfar.web.sights import Sights

MOST_QUERIES = 2_000
"""Test examples that can be picked; of more, as many spread evenly."""
MOST_GALLERY = 20_000
"""Training examples that are looked among; of more, as many spread evenly."""
NEAREST = 16
"""Neighbours that are shown."""
PAGE = 48
"""Examples that are listed at once."""


@dataclass(frozen=True)
class Searched:
    """A run's encoder and its data, ready to be asked.

    Attributes:
        queries: What can be picked.
        gallery: What is looked among; the queries themselves where there is no test part.
        class_names: Of the labels; empty without labels.
        told: What the page says of the two.
        notes: What a person should know of the data.
        similar: Of each query its nearest rows of the gallery.
        similarities: Their cosines.
        sights: Draws examples.
    """

    queries: Part
    gallery: Part
    class_names: tuple[str, ...]
    told: str
    notes: tuple[str, ...]
    similar: torch.Tensor
    similarities: torch.Tensor
    sights: Sights

    def found(self, text: str, first: int) -> dict[str, Any]:
        """The queries whose name, class or words hold a text, one page of them.

        Args:
            text: What was typed; nothing asks for all.
            first: The first to list, counted among those that were found.
        """
        wanted = text.strip().lower()
        rows = [row for row, words in enumerate(self._words()) if wanted in words]
        listed = rows[first : first + PAGE]
        return {
            "total": len(rows),
            "first": first,
            "examples": self._cells(self.queries, listed),
        }

    def nearest(self, row: int) -> dict[str, Any]:
        """A query and what lies nearest to it, most similar first.

        Args:
            row: Of the queries, from 0.
        """
        (query,) = self._cells(self.queries, [row])
        rows = self.similar[row].tolist()
        cells = self._cells(self.gallery, rows)
        for cell, similarity in zip(cells, self.similarities[row].tolist(), strict=True):
            cell["similarity"] = round(similarity, 3)
            if query["label"] is not None and cell["label"] is not None:
                cell["right"] = cell["label"] == query["label"]
        return {"query": query, "nearest": cells}

    def _words(self) -> list[str]:
        """What each query is found by."""
        texts = readable(self._texts()).tolist() if self.queries.modality == "texts" else None
        labels = self.queries.labels
        found = []
        for row in range(len(self.queries)):
            words = [_name(self.queries, row)]
            words += [] if labels is None else [self._class(int(labels[row]))]
            words += [] if texts is None else [texts[row]]
            found.append("\n".join(words).lower())
        return found

    def _texts(self) -> torch.Tensor:
        assert isinstance(self.queries.examples, torch.Tensor)
        return self.queries.examples

    def _cells(self, part: Part, rows: list[int]) -> list[dict[str, Any]]:
        if not rows:
            return []
        labels = part.labels
        drawn = self.sights.of(choose(part, torch.tensor(rows)))
        return [
            {
                "row": row,
                "name": printable(_name(part, row)),
                "label": None if labels is None else printable(self._class(int(labels[row]))),
                **sight,
            }
            for row, sight in zip(rows, drawn, strict=True)
        ]

    def _class(self, label: int) -> str:
        return self.class_names[label] if 0 <= label < len(self.class_names) else str(label)


def search(run: Path, say: Callable[[str], None]) -> Searched:
    """Embeds a run's own data by its encoder, on the CPU and with one thread.

    Args:
        run: Its folder.
        say: Told how far it is.

    Raises:
        NearfarError: The run has no encoder yet, a file is damaged, or the data are not there.
    """
    torch.set_num_threads(1)  # of this thread: the other cores are for running jobs
    say("loading the encoder")
    encoder = load_encoder(run)
    say("reading the data")
    source = _source(run)
    queries, gallery, told = _parts(source)
    alone = queries is gallery
    parts = {"gallery": gallery} if alone else {"gallery": gallery, "queries": queries}
    features = _features(encoder, parts, source, say)
    bank = Searchable(features[: len(gallery)])
    asked = features[len(gallery) :]
    found = bank.of_all(NEAREST) if alone else bank.nearest(asked, NEAREST)
    return Searched(
        queries,
        gallery,
        source.class_names or (),
        told,
        tuple(printable(note) for note in source.notes),
        found.rows,
        found.similarities,
        Sights.fitting(gallery),
    )


def _source(run: Path) -> Source:
    """The run's own data, where they are now; nothing is fetched."""
    spec: SourceSpec = read_recipe(run).data
    if isinstance(spec, PublicSpec):
        spec = replace(spec, download=False)
    refuse_lost_data(run, spec)
    return load_source(spec)


def _parts(source: Source) -> tuple[Part, Part, str]:
    """Queries and gallery, and what the page says of them."""
    gallery, of_gallery = _some(source.train, MOST_GALLERY)
    if source.test is None or not len(source.test):
        queries, of_queries = _some(gallery, MOST_QUERIES)
        if len(queries) == len(gallery):
            return gallery, gallery, f"{of_gallery} training {source.modality}; no test part"
        gallery = queries
        return queries, gallery, f"{of_queries} training {source.modality}; no test part"
    queries, of_queries = _some(source.test, MOST_QUERIES)
    return (
        queries,
        gallery,
        f"{of_queries} test {source.modality} beside {of_gallery} training {source.modality}",
    )


def _some(part: Part, most: int) -> tuple[Part, str]:
    """A part, or as many of its examples, spread evenly; and how many, in words."""
    if len(part) <= most:
        return part, f"{len(part):,}"
    rows = torch.from_numpy(np.linspace(0, len(part) - 1, most).round().astype(np.int64))
    return choose(part, rows), f"{most:,} of {len(part):,}"


def _features(
    encoder: SavedEncoder, parts: dict[str, Part], source: Source, say: Callable[[str], None]
) -> torch.Tensor:
    """Features of all parts, one behind the other."""
    plain = {
        name: replace(part, multi_labels=None, partners=None, depths=None, masks=None)
        for name, part in parts.items()
    }
    found, _ = features_of(encoder, Examples(plain, source.class_names, {}), say=say)
    return found.features


def _name(part: Part, row: int) -> str:
    return f"example {row}" if part.names is None else str(part.names[row])
