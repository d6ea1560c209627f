"""Pairs of texts with a score each, from a table: what semantic similarity is judged by."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfar.data.column_names import says_missing
from nearfar.data.csv_file import read_csv
from nearfar.data.folder_tree import many
from nearfar.data.parquet import read_columns
from nearfar.data.parquet_columns import table_columns
from nearfar.errors import NearfarError, SettingError, unknown_name
from nearfar.outside_text import printable

FEWEST = 4
"""Pairs below which a correlation has no interval."""

_ROOM = "evaluation.semantic_similarity."
_MOST_MIB = 1024
_SCORES = (
    *("score", "scores", "similarity", "similarity_score", "relatedness_score", "relatedness"),
    *("gold", "gold_score", "label", "labels", "rating", "sim", "value"),
)
_TEXTS = (
    *(("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b")),
    *(("text1", "text2"), ("text_1", "text_2"), ("text_a", "text_b"), ("first", "second")),
    *(("s1", "s2"), ("word1", "word2"), ("word_1", "word_2"), ("question1", "question2")),
)
_WORDS = 2
"""Words of a value on average from which on a column is one of sentences, and not of names."""


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs of texts, and how alike they are said to be.

    Attributes:
        first: One text of each pair.
        second: The other.
        scores: Finite numbers, of which at least two differ; higher for pairs more alike.
        notes: What was left out, one sentence each.
    """

    first: list[str]
    second: list[str]
    scores: list[float]
    notes: tuple[str, ...]


def read_scored_pairs(
    path: Path,
    first_column: str | None = None,
    second_column: str | None = None,
    score_column: str | None = None,
) -> ScoredPairs:
    """Read scored pairs of a CSV, TSV or Parquet file.

    Args:
        path: The file.
        first_column: Of first texts; None: one of two columns that are called sentence1 and
            sentence2 or the like, else of the only two of sentences, or of words.
        second_column: Of second texts, likewise.
        score_column: Of scores; None: one that is called score or the like, else the only one of
            numbers.

    Returns:
        The pairs in the order of the file; rows that lack a text or a score are left out, counted.

    Raises:
        NearfarError: The file is missing or damaged, it cannot be told which column is what, a
            score is no finite number, all are equal, or fewer than four pairs remain.
        SettingError: There is no such column.
    """
    try:
        return _pairs(_cells(path), first_column, second_column, score_column)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None


def _cells(path: Path) -> dict[str, Sequence[Any]]:
    """Its columns of text and of numbers."""
    try:
        if path.suffix.lower() != ".parquet":
            return dict(read_csv(path, _MOST_MIB).cells)
        import pyarrow as pa

        columns = table_columns(path)
        names = [
            name
            for name, kind in columns.kinds.items()
            if name in columns.text or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        ]
        read = read_columns(path, names, columns, _MOST_MIB, "") if names else []
        return {name: each.to_pylist() for name, each in zip(names, read, strict=True)}
    except OSError as error:
        raise NearfarError(error.strerror or "cannot be read") from None
    except SettingError:
        raise NearfarError(f"more than {_MOST_MIB} MiB: score fewer pairs") from None


def _pairs(
    cells: Mapping[str, Sequence[Any]], first: str | None, second: str | None, score: str | None
) -> ScoredPairs:
    named = {"first_column": first, "second_column": second, "score_column": score}
    for setting, name in named.items():
        if name is not None and name not in cells:
            raise unknown_name(f"column in {_ROOM}{setting}", name, cells)
    given = [name for name in named.values() if name is not None]
    if len(set(given)) < len(given):
        raise SettingError(f"{_ROOM}first_column, second_column and score_column: one column each")
    one, other = _text_columns(cells, first, second, score)
    scored = score or _score_column(cells, (one, other))
    texts = [["" if each is None else str(each).strip() for each in cells[n]] for n in (one, other)]
    scores = _numbers(scored, cells[scored])
    rows = [row for row in range(len(scores)) if texts[0][row] and texts[1][row]]
    kept = [row for row in rows if scores[row] is not None]
    notes = []
    for lost, lacking in ((len(scores) - len(rows), "text"), (len(rows) - len(kept), "score")):
        if lost:
            notes.append(f"semantic similarity: left out {many(lost, 'pair')} without a {lacking}")
    if len(kept) < FEWEST:
        raise NearfarError(
            f"{many(len(kept), 'pair')} with both texts and a score: {FEWEST} at least are needed"
        )
    values = [value for row in kept if (value := scores[row]) is not None]
    if min(values) == max(values):
        raise NearfarError(
            f"all scores in column {printable(scored)} are {values[0]:g}: nothing is more alike"
        )
    return ScoredPairs(
        [texts[0][row] for row in kept], [texts[1][row] for row in kept], values, tuple(notes)
    )


def _text_columns(
    cells: Mapping[str, Sequence[Any]], first: str | None, second: str | None, score: str | None
) -> tuple[str, str]:
    """Which columns hold the texts."""
    if first is not None and second is not None:
        return first, second
    others = {name: each for name, each in cells.items() if name not in (first, second, score)}
    by_plain = {_plain(name): name for name in reversed(list(cells)) if name != score}
    for called in _TEXTS:
        found = tuple(by_plain.get(each) for each in called)
        if None not in found and first in (None, found[0]) and second in (None, found[1]):
            return found  # pyright: ignore[reportReturnType]
    words = {name: _words_of(each) for name, each in others.items() if not _holds_numbers(each)}
    wordy = [name for name, count in words.items() if count >= _WORDS]
    wanted = 2 if first is None and second is None else 1
    likely = wordy if len(wordy) == wanted else list(words)
    if len(likely) != wanted:
        told = ", ".join(printable(name) for name in cells)
        raise NearfarError(
            f"it cannot be told which columns hold the two texts, of {told}: name them by "
            f"{_ROOM}first_column and {_ROOM}second_column"
        )
    if wanted == 2:
        return likely[0], likely[1]
    return (first, likely[0]) if first is not None else (likely[0], str(second))


def _score_column(cells: Mapping[str, Sequence[Any]], texts: Sequence[str]) -> str:
    """Which column holds the scores."""
    others = [name for name in cells if name not in texts]
    by_plain = {_plain(name): name for name in reversed(others)}
    called = [by_plain[name] for name in _SCORES if name in by_plain]
    numbers = [name for name in others if _holds_numbers(cells[name])]
    # One that is called so and holds words is no score: a label may be a word.
    likely = [name for name in called if name in numbers] or numbers or called
    if len(likely) == 1 or (likely and likely[0] in called):
        return likely[0]
    told = ", ".join(printable(name) for name in likely or cells)
    what = f"{told} all hold numbers" if likely else f"none of {told} holds numbers"
    raise NearfarError(f"{what}: name the column of scores by {_ROOM}score_column")


def _numbers(name: str, values: Sequence[Any]) -> list[float | None]:
    """Numbers of a column; None where there is none."""
    numbers = [_number(each) for each in values]
    wrong = [
        each
        for each, number in zip(values, numbers, strict=True)
        if number is not None and not math.isfinite(number)
    ]
    if wrong:
        raise NearfarError(
            f"column {printable(name)}: {len(wrong)} of {len(values)} scores are no finite numbers "
            f"(such as {printable(str(wrong[0])[:40])!r}): mend them, or name another by "
            f"{_ROOM}score_column"
        )
    return numbers


def _number(value: Any) -> float | None:
    """The number that a cell holds, None where it is missing; infinite where it is none."""
    if value is None or says_missing(str(value).strip()):
        return None
    try:
        return float(value)
    except ValueError:
        return math.inf


def _holds_numbers(values: Sequence[Any]) -> bool:
    """Whether all that is there are finite numbers."""
    numbers = [_number(each) for each in values]
    there = [each for each in numbers if each is not None]
    return bool(there) and all(math.isfinite(each) for each in there)


def _words_of(values: Sequence[Any]) -> float:
    there = [len(str(each).split()) for each in values[:1000] if each]
    return sum(there) / max(1, len(there))


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
