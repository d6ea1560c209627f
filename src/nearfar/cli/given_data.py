"""What `--data` names where an encoder is at hand: a source with its settings, a folder or a file.

`--data folder --data.root X` is read as in `nearfar train`; `--data X` is all that lies at X.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from nearfar.cli.arguments import parse
from nearfar.cli.choices import choose
from nearfar.data.source_spec import Fit, SourceSpec
from nearfar.data.specs import DigitsSpec, NpzSpec, PicturesSpec, TableSpec
from nearfar.errors import SettingError
from nearfar.paths import user_path
from nearfar.spec import Nested, as_spec, to_json

if TYPE_CHECKING:
    from nearfar.encoders.saved_encoder import SavedEncoder
    from nearfar.training.ranks import Ranks
    from nearfar.uses.embeddable import Examples


@dataclass(frozen=True)
class GivenData:
    """What was given, not looked at yet.

    Attributes:
        word: What stands behind `--data`.
        source: The source of this name with its settings; None where the word is a path.
    """

    word: str
    source: SourceSpec | None

    @property
    def folder(self) -> Path | None:
        """The folder that the names of its examples begin at; None where it is none."""
        place = self.word if self.source is None else self.source.place
        if place is None or not user_path(place).is_dir():
            return None
        return user_path(place)


@dataclass(frozen=True)
class _Chosen:
    """A source, as `--data` and `--data.…` choose it."""

    data: Nested[SourceSpec] = field(default_factory=DigitsSpec)


def take_source(command: str, words: Sequence[str]) -> tuple[list[str], SourceSpec | None]:
    """The words of a command without `--data.…`, and the source that these words choose.

    Args:
        command: For errors.
        words: Of the command; `--data NAME` stays among them.

    Raises:
        SettingError: `--data` names no source, and settings of one are given.
    """
    left: list[str] = []
    of_data: list[str] = []
    taking = False
    for word in words:
        if word.startswith("--"):
            taking = word.startswith("--data.")
        (of_data if taking else left).append(word)
    name = _value_of("--data", left)
    if name not in SourceSpec.known():
        if of_data and name is not None:
            raise SettingError(
                f"{of_data[0].partition('=')[0]} is a setting of a source, and --data {name} is "
                f"none: write --data folder {of_data[0]} …, or the path alone"
            )
        return [*left, *of_data], None
    chosen, more = choose(_Chosen(), ["--data", name, *of_data])
    return left, parse(_Chosen, command, more, chosen).data


def _value_of(option: str, words: Sequence[str]) -> str | None:
    for word, following in zip(words, [*words, ""][1:], strict=True):
        if word == option:
            return following
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return None


def examples_of(
    given: GivenData,
    encoder: "SavedEncoder",
    ranks: "Ranks",
    *,
    fit: Fit,
    max_corrupt: float,
    tower: str = "first",
) -> "tuple[Examples, int]":
    """What is to be embedded, and how many processes decode it.

    Args:
        given: By the command line.
        encoder: Says what its examples are, and to which shape images are brought.
        ranks: Of them, one for each machine loads first, for it may download.
        fit: How images of a folder become squares.
        max_corrupt: Largest share of a folder's images to skip.
        tower: Which encoder of its run it is: of a source of pairs, the second takes what the
            examples are paired with.

    Raises:
        SettingError: There is nothing at the path, or not what the encoder takes.
    """
    from nearfar.data.columns import in_columns
    from nearfar.data.sources import load_source
    from nearfar.uses.embeddable import of_folder, of_source

    spec = given.source
    if spec is None:
        path = user_path(given.word)
        if path.is_dir() and encoder.modality == "images" and not _holds_shards(path):
            check_takes_files(encoder)
            return of_folder(encoder, path, fit=fit, max_corrupt=max_corrupt), 2
        spec = _source_at(path, encoder)
    elif isinstance(spec, PicturesSpec) and encoder.modality == "images" and tower == "first":
        spec = _of_encoders_shape(spec, encoder)
    spec.require_root()
    source = ranks.one_by_machine(lambda: in_columns(load_source(spec), encoder.columns))
    settings = to_json(spec if spec.place is None else spec.at(user_path(spec.place).absolute()))
    second = tower == "second" and source.second_modality is not None
    return of_source(source, settings, second=second), spec.readers


def _source_at(path: Path, encoder: "SavedEncoder") -> SourceSpec:
    """The source that a file or folder is, for an encoder of such examples."""
    takes = encoder.modality
    kind = path.suffix if path.is_file() else "folder" if path.is_dir() else None
    if kind is None:
        raise SettingError(f"no such folder or file: {path}")
    if (takes, kind) == ("images", ".npz"):
        return NpzSpec(root=path, test_fraction=0)
    others = {
        ("series", ".npz"): "series-npz",
        ("series", "folder"): "wav",
        ("vectors", ".npz"): "vectors-npz",
        ("texts", ".txt"): "text-lines",
        ("texts", ".text"): "text-lines",
        ("texts", "folder"): "text-lines",
        ("texts", ".csv"): "text-table",
        ("texts", ".tsv"): "text-table",
        ("texts", ".parquet"): "text-table",
    }
    name = others.get((takes, kind))
    if name is None:
        return _found_at(path, encoder)
    settings = {"name": name, "root": path, "test_fraction": 0}
    if name in SourceSpec.owners("length"):
        settings["length"] = encoder.shape[-1]
    return as_spec(SourceSpec, settings)


def _found_at(path: Path, encoder: "SavedEncoder") -> SourceSpec:
    """What `nearfar train` would read there, all of it, for an encoder of such examples.

    Raises:
        SettingError: It is of another kind.
        NearfarError: Nothing that any source reads is there.
    """
    from nearfar.modality import in_words
    from nearfar.recipes.found_data import find_data

    found = find_data(path)
    if found.data.modality != encoder.modality:
        raise SettingError(
            f"{path}: this encoder takes {in_words(encoder.modality, encoder.shape)}, and the path "
            f"holds {found.why.partition(';')[0]}: give such examples, or name a source, as --data "
            "npz --data.root FILE (nearfar data)"
        )
    spec = replace(found.data, test_fraction=0)
    if isinstance(spec, TableSpec):
        return _of_encoders_columns(spec, encoder)
    return _of_encoders_shape(spec, encoder) if isinstance(spec, PicturesSpec) else spec


def _of_encoders_columns(spec: TableSpec, encoder: "SavedEncoder") -> TableSpec:
    """The table whose columns are read as those were that the encoder has learnt from.

    What few rows hold does not tell categories from other words.
    """
    if encoder.columns is None:
        return spec
    known = {feature.column for feature in encoder.columns}
    words = {feature.column for feature in encoder.columns if feature.value is not None}
    return replace(
        spec,
        label_column=None if spec.label_column in known else spec.label_column,
        leave_out=tuple(name for name in (*spec.leave_out, *spec.categories) if name not in known),
        categories=tuple(sorted(words)),
        fill_missing=True,
    )


def _holds_shards(path: Path) -> bool:
    """Whether there are files right in a folder that hold images, and none that are images."""
    from nearfar.data.image_files import SUFFIXES

    endings = {entry.suffix.lower() for entry in path.iterdir()}
    return bool(endings & {".tar", ".parquet", ".arrow"}) and not endings & SUFFIXES


def _of_encoders_shape(spec: PicturesSpec, encoder: "SavedEncoder") -> PicturesSpec:
    """The source whose images have the encoder's size and channels, unless it names its own."""
    return replace(
        spec,
        channels=spec.channels or (1 if encoder.shape[0] == 1 else 3),
        image_size=spec.image_size or encoder.shape[1],
    )


def fit_for(encoder: Path, asked: Fit | None) -> Fit:
    """How images become squares for an encoder: as asked, or as it learnt, but whole.

    Args:
        encoder: Run folder, or the encoder's file in it.
        asked: What a person chose, or None.

    Returns:
        What was asked; else `pad` where the run learnt so, and otherwise `squash`.

    Raises:
        NearfarError: The run's settings are damaged.
    """
    from nearfar.data.source_spec import ImageFilesSpec
    from nearfar.recipes.config_json import read_recipe
    from nearfar.run_folder.folder import RunFolder

    if asked is not None:
        return asked
    run = RunFolder(encoder if encoder.is_dir() else encoder.parent)
    if not run.config.exists():
        return "squash"
    data = read_recipe(run.path).data
    learnt = data.fit if isinstance(data, ImageFilesSpec) else "crop"
    return "squash" if learnt == "crop" else learnt


def check_takes_files(encoder: "SavedEncoder") -> None:
    """Refuse image files where the encoder takes none.

    Raises:
        SettingError: It takes other examples, or images of other channels.
    """
    from nearfar.modality import in_words

    if encoder.modality != "images" or encoder.shape[0] not in (1, 3):
        raise SettingError(
            f"this encoder takes {in_words(encoder.modality, encoder.shape)}, and image files are "
            "read as grey (1) or RGB (3)"
        )
