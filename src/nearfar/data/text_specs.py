"""The sources of texts: their settings, what they hold, whose it is. Imports no torch."""

from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from nearfar.data.source_spec import (
    FilesSpec,
    HeldOut,
    OwnDataSpec,
    PartlyLabelledSpec,
    held_out_count,
)
from nearfar.errors import SettingError
from nearfar.paths import user_cache
from nearfar.spec import Share

Length = Annotated[int, Ge(8), Le(65_536)]
Neighbours = Annotated[int, Ge(0), Le(100)]

_SIZE = "data.length bytes of UTF-8 (256); what is longer is cut"


class OwnTextsSpec(OwnDataSpec):
    """What texts of one's own share."""

    modality, size = "texts", _SIZE
    length: Length = 256
    """Bytes of UTF-8 that a text is cut at; a note counts those that are."""


class TextLinesSpec(OwnTextsSpec):
    """Text files: their lines, their paragraphs, or each as a whole."""

    target, root_kind = "nearfar.data.text_files:load_text_lines", "place"
    summary = "text files: one, or a folder of them, one sub-folder a class, or without labels"
    name: Literal["text-lines"] = "text-lines"
    unit: Literal["line", "paragraph", "file"] = "line"
    """What one text is; paragraphs have empty lines between them."""
    neighbours: Neighbours = 0
    """Texts before and after in the same file, one of which is the second view (Quick-Thought)."""
    max_corrupt: Share = 0.01
    """Largest share of files that are no text in UTF-8 to skip before the run is refused."""

    @property
    def has_partners(self) -> bool:
        """Whether a second view may be of another example."""
        return self.neighbours > 0

    def check(self) -> None:
        """A file that is one text has no neighbours in it."""
        if self.unit == "file" and self.neighbours:
            raise SettingError(
                f"data.neighbours is {self.neighbours}: with data.unit file a file is one text and "
                "has none: set data.unit to line or paragraph"
            )


class TextTableSpec(OwnTextsSpec, PartlyLabelledSpec):
    """A column of texts."""

    target, root_kind = "nearfar.data.text_table:load_text_table", "place"
    summary = (
        "a CSV or Parquet table, or a saved data set of Hugging Face's, with a column of texts"
    )
    name: Literal["text-table"] = "text-table"
    text_column: str | None = None
    """Column of texts; left out, the one that is called text or the like, or the wordiest."""
    label_column: str | None = None
    """Column that holds the labels; left out, there are none."""
    pair_column: str | None = None
    """Column of second texts, each the second view of the first: a question's answer, say."""

    @property
    def has_partners(self) -> bool:
        """Whether a second view may be of another example."""
        return self.pair_column is not None

    def check(self) -> None:
        """No column is two things."""
        given = [self.text_column, self.label_column, self.pair_column]
        named = [each for each in given if each is not None]
        if len(set(named)) < len(named):
            raise SettingError(
                f"data.text_column, label_column and pair_column are {', '.join(named)}: each is "
                "another column"
            )


class WordNetSpec(FilesSpec):
    """The glosses of WordNet 3.0."""

    target, root_needed, modality = "nearfar.data.wordnet:load_wordnet", False, "texts"
    summary = "what WordNet's glosses say of 117 659 meanings, by the 45 files of its authors"
    classes, train_examples, size = 45, 20_000, _SIZE
    licence = "WordNet 3.0 license (free for any purpose, with its notice; Princeton University)"
    citation = (
        "Miller 1995, WordNet: A Lexical Database for English, Communications of the ACM 38(11); "
        "Fellbaum 1998, WordNet: An Electronic Lexical Database, MIT Press"
    )
    home = "wordnet.princeton.edu"
    name: Literal["wordnet"] = "wordnet"
    examples: Annotated[int, Ge(100), Le(117_659)] = 25_000
    """Glosses of both parts, drawn in runs that stand together in WordNet's files."""
    test_fraction: HeldOut = 0.2
    """Share of them that is for test alone."""
    length: Length = 256
    """Bytes of UTF-8 that a gloss is cut at; a note counts those that are."""
    neighbours: Neighbours = 0
    """Glosses before and after in WordNet's files, one of which is the second view."""
    words: bool = False
    """The second view of a gloss is the words that it explains."""

    def check(self) -> None:
        """A second view is one thing."""
        if self.words and self.neighbours:
            raise SettingError(
                f"data.words is True and data.neighbours is {self.neighbours}: a second view is of "
                "the words or of a neighbour: leave one out"
            )

    @property
    def has_partners(self) -> bool:
        """Whether a second view may be of another example."""
        return self.words or self.neighbours > 0

    @property
    def folder(self) -> Path:
        """Its data files: `root`, else where `make wordnet` puts them."""
        return user_cache() / "wordnet" if self.root is None else self.root.expanduser()

    def require_root(self) -> None:
        """Refuse a folder that is missing."""
        super().require_root()
        if self.root is None and not self.folder.is_dir():
            raise SettingError(
                f"wordnet needs WordNet's data files: there is no {self.folder}; `make wordnet` "
                "fetches them from Debian's package wordnet-base, or name the folder of data.noun "
                "with --data.root (/usr/share/wordnet where the package is installed)"
            )

    def most_to_learn_from(self) -> int:
        """What is neither for test nor held out."""
        train = self.examples - round(self.examples * self.test_fraction)
        return train - held_out_count(train, self.held_out)
