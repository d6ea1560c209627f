"""Test examples of a run and what its encoder finds nearest to them in the training part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar.data.columns import in_columns
from nearfar.data.source import Part, Source, choose
from nearfar.data.source_spec import PublicSpec, SourceSpec
from nearfar.data.sources import load_source
from nearfar.encoders.saved import load_encoder
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.evaluation.pictures import readable
from nearfar.outside_text import printable
from nearfar.recipes.config_json import read_recipe
from nearfar.recipes.data_root import refuse_lost_data
from nearfar.uses.embed import features_of
from nearfar.uses.embeddable import Examples
from nearfar.uses.neighbors import Searchable
from nearfar.web.across import Across, both_kinds
from nearfar.web.shelves import NEAREST, Shelf
from nearfar.web.sights import Sights
from nearfar.web.typed import MOST_LETTERS, Typed, title

MOST_QUERIES = 2_000
"""Test examples that can be picked; of more, as many spread evenly."""
MOST_GALLERY = 20_000
"""Training examples that are looked among; of more, as many spread evenly."""
PAGE = 48
"""Examples that are listed at once."""


@dataclass(frozen=True)
class Searched:
    """A run's encoder and its data, ready to be asked.

    Attributes:
        queries: What can be picked.
        gallery: What is looked among; the queries themselves where there is no test part.
        told: What the page says of the two.
        notes: What a person should know of the data.
        similar: Of each query its nearest rows of the gallery.
        similarities: Their cosines.
        across: The two kinds of a run of pairs; None of other runs.
        typed: Looks for words that a visitor types; None where no encoder takes texts.
    """

    queries: Shelf
    gallery: Shelf
    told: str
    notes: tuple[str, ...]
    similar: torch.Tensor
    similarities: torch.Tensor
    across: Across | None
    typed: Typed | None

    def asks(self) -> dict[str, Any]:
        """What can be asked besides an example's neighbours of its own kind, for the page."""
        parts = {} if self.typed is None else self.typed.shelves
        if self.across is not None:
            parts = self.across.second
        return {
            "typed": None if self.typed is None else self.typed.finds,
            "across": None if self.across is None else self.across.finds,
            "among": list(parts),
            "letters": MOST_LETTERS,
        }

    def found(self, text: str, first: int) -> dict[str, Any]:
        """The queries whose name, class or words hold a text, one page of them.

        Args:
            text: What was typed; nothing asks for all.
            first: The first to list, counted among those that were found.
        """
        wanted = text.strip().lower()
        rows = [row for row, words in enumerate(self._words()) if wanted in words]
        listed = rows[first : first + PAGE]
        return {"total": len(rows), "first": first, "examples": self.queries.cells(listed)}

    def nearest(self, row: int, among: str | None = None) -> dict[str, Any]:
        """A query and what lies nearest to it, most similar first.

        Args:
            row: Of the queries, from 0.
            among: Of a run of pairs, which part of the other kind; None asks its own kind alone.

        Raises:
            SettingError: There is no such part.
        """
        (query,) = self.queries.cells([row])
        cells = self.gallery.cells(self.similar[row].tolist(), self.similarities[row].tolist())
        for cell in cells:
            if query["label"] is not None and cell["label"] is not None:
                cell["right"] = cell["label"] == query["label"]
        answer = {"query": query, "title": title(self.gallery, "training"), "nearest": cells}
        if self.across is not None and among is not None:
            answer["across"] = self.across.nearest(row, among)
        return answer

    def _words(self) -> list[str]:
        """What each query is found by."""
        part = self.queries.part
        texts: list[str] | None = None
        if part.modality == "texts":
            assert isinstance(part.examples, torch.Tensor)
            texts = readable(part.examples).tolist()
        found = []
        for row in range(len(part)):
            words = [self.queries.name(row), self.queries.class_of(row) or ""]
            words += [] if texts is None else [texts[row]]
            found.append("\n".join(words).lower())
        return found


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
    source = in_columns(_source(run), encoder.columns)
    queries, gallery, told = _parts(source)
    parts = {"training": gallery} if queries is gallery else {"test": queries, "training": gallery}
    features = _features(encoder, parts, source, say)
    sights = Sights.fitting(gallery)
    shelves = {
        name: Shelf(part, source.class_names or (), sights, Searchable(features[name]))
        for name, part in parts.items()
    }
    looked_among, asking = shelves["training"], next(iter(shelves.values()))
    if queries is gallery:
        found = looked_among.bank.of_all(NEAREST)
    else:
        found = looked_among.bank.nearest(features["test"], NEAREST)
    across = both_kinds(run, shelves, features, say)
    typed = None if across is None else across.typed
    if across is None and encoder.modality == "texts":
        typed = Typed(encoder, dict(reversed(shelves.items())))
    return Searched(
        asking,
        looked_among,
        told,
        tuple(printable(note) for note in source.notes),
        found.rows,
        found.similarities,
        across,
        typed,
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
) -> dict[str, torch.Tensor]:
    """Features of each part."""
    plain = {
        name: replace(part, multi_labels=None, partners=None, depths=None, masks=None)
        for name, part in parts.items()
    }
    found, _ = features_of(encoder, Examples(plain, source.class_names, {}), say=say)
    sizes = [len(part) for part in parts.values()]
    return dict(zip(parts, found.features.split(sizes), strict=True))
