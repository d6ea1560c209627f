"""Features of every example of a source, written as they come, in memory that does not grow."""

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfar.data.batches import evaluation_batches
from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.common_shape import fit_note
from nearfar.data.file_reading import name_below
from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.image_files import pages_left_out, pillow_quiet, read_header, read_image
from nearfar.data.source import Part, Source, StreamedExamples, choose
from nearfar.data.source_spec import Fit
from nearfar.data.streamed_images import StreamedImages
from nearfar.data.tolerant_files import TolerantImages, all_images
from nearfar.encoders.saved import SavedEncoder
from nearfar.errors import NearfarError, SettingError
from nearfar.evaluation.features import MEASURED, check_finite, frozen
from nearfar.outside_text import printable
from nearfar.text_bytes import encoded
from nearfar.training.ranks import Ranks
from nearfar.training.thread_choice import ThreadChoice
from nearfar.uses.encoder_fingerprint import encoder_fingerprint
from nearfar.uses.examples import SIDE, second_sides
from nearfar.uses.features_file import About, Features, about_as_text, rows_digest
from nearfar.uses.file_names import check_features_out
from nearfar.uses.shards import ROWS, Shard, Shards, as_rows, slices
from nearfar.uses.stored_arrays import Written, write_features

BATCH = 512
_MOST_NAMED = 20


@dataclass(frozen=True)
class Examples:
    """What is to be embedded.

    Attributes:
        parts: By name; one called "" is a part alone.
        class_names: Of the labels, or None.
        origin: Where they come from, as the file of features will say.
        fit: How images become squares, where they are files that may be unreadable.
        max_corrupt: Largest share of such files that may be unreadable.
        notes: What a person should know of them.
    """

    parts: Mapping[str, Part]
    class_names: tuple[str, ...] | None
    origin: Mapping[str, Any]
    fit: Fit = "crop"
    max_corrupt: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Embedded:
    """What was done.

    Attributes:
        path: The file.
        rows: How many examples are in it.
        width: Features of each.
        kept: How many were there already, from an earlier call that was cut.
        notes: What a person should know: files that were skipped.
    """

    path: Path
    rows: int
    width: int
    kept: int
    notes: tuple[str, ...]


def of_source(source: Source, settings: Mapping[str, Any], *, second: bool = False) -> Examples:
    """All parts of a source.

    Args:
        source: Loaded.
        settings: Of its spec, as JSON has them.
        second: Take what the examples are paired with, which are of a kind of their own.
    """
    if second:
        sides = second_sides(source)
        origin = {"source": dict(settings), SIDE: "second"}
        return Examples(sides, None, origin, notes=source.notes)
    held = {name: part for name, part in source.parts.items() if len(part)}
    class_names, search = source.class_names, source.search
    if search is not None and search.gallery is not source.train:
        # Its classes are numbered by themselves: behind the others, each name once.
        class_names = tuple(dict.fromkeys([*(class_names or ()), *search.class_names]))
        numbers = torch.tensor([class_names.index(name) for name in search.class_names])
        for name in held.keys() & {"query", "gallery"}:
            labels = held[name].labels
            assert labels is not None
            held[name] = replace(held[name], labels=numbers[labels])
    origin, limit, fit = {"source": dict(settings)}, 0.0, "crop"
    for name, part in held.items():
        # Its own features or none: what stands in for an image in training is another's.
        if isinstance(part.examples, CheckedWhenRead):
            held[name] = replace(part, examples=TolerantImages(part.examples.images))
            limit, fit = part.examples.account.max_corrupt, part.examples.images.fit
    return Examples(held, class_names, origin, fit, limit, source.notes)


def of_folder(
    encoder: SavedEncoder, root: Path, *, fit: Fit = "squash", max_corrupt: float = 0.01
) -> Examples:
    """Every image below a folder, however it is laid out, without labels.

    Args:
        encoder: Says to which shape images are brought.
        root: The folder.
        fit: How images become squares.
        max_corrupt: Largest share of images that may be unreadable; they are skipped.

    Raises:
        SettingError: The encoder takes neither grey nor RGB images.
        NearfarError: There is no image.
    """
    channels, side, _ = encoder.shape
    files, paths, notes = all_images(root, (channels, side, side), fit)
    names = [name_below(path, root) for path in paths]
    origin = {"folder": str(root.absolute()), "fit": fit}
    return Examples({"": Part(files, None, names)}, None, origin, fit, max_corrupt, tuple(notes))


def of_image(encoder: SavedEncoder, file: Path, *, fit: Fit = "squash") -> Examples:
    """One image file, read as `of_folder` reads those of a folder.

    Raises:
        SettingError: There is no such file.
        NearfarError: The file is no image.
    """
    if not file.is_file():
        raise SettingError(f"no such image: {file}")
    channels, side, _ = encoder.shape
    with pillow_quiet():
        pixels = torch.tensor(read_image(file, (channels, side, side), fit))
        notes = pages_left_out([read_header(file)])
    return Examples({"": Part(pixels[None], None, [str(file)])}, None, {}, notes=tuple(notes))


def of_text(encoder: SavedEncoder, text: str) -> Examples:
    """One text, which is its own name.

    Raises:
        NearfarError: There is nothing in it.
    """
    if not text.strip():
        raise NearfarError("an empty text has no neighbours: give some words")
    rows, cut = encoded([text], encoder.shape[0])
    note = f"a text is longer than the {encoder.shape[0]} bytes that the encoder takes: cut"
    part = Part(rows, None, [text], "texts")
    return Examples({"": part}, None, {}, notes=(note,) if cut else ())


def embed(
    encoder: SavedEncoder,
    examples: Examples,
    out: Path | str,
    *,
    encoder_path: Path | str = "",
    device: str | torch.device = "cpu",
    workers: int = 0,
    threads: ThreadChoice | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Embedded:
    """Writes the features of every example, which `load_features` reads back.

    What is computed lies beside the file until all of it is there, a thousand rows at a time and
    checked: called again after a kill, this goes on. Memory is that of the source, and of a
    thousand rows, whatever their number. Of several ranks each computes its share, and the rows
    are those of one process; all must see the folder of the file.

    Args:
        encoder: On `device`.
        examples: What `of_source` or `of_folder` gives.
        out: `.parquet`, `.npz` or `.npy`; replaced when all is computed.
        encoder_path: Where the encoder lies, for the file to say.
        device: Where the encoder is.
        workers: Processes that decode streamed examples.
        threads: Chooses the thread count; None leaves it.
        say: Told how far it has come.

    Raises:
        SettingError: The name of the file ends in nothing that is known.
        NearfarError: The encoder does not take such examples, too many files cannot be read, a
            feature is not finite, or the file cannot be written.
    """
    ranks, out = Ranks.now(), Path(out)
    check_features_out(out)
    for part in examples.parts.values():
        _check_fits(encoder, part)
    shards = Shards(out)
    plan = {
        "encoder": encoder_fingerprint(encoder),
        "rows": ROWS,
        "parts": {name: _fingerprint(part) for name, part in examples.parts.items()},
        "fit": examples.fit,
    }
    notes = list(examples.notes)
    with ranks.on_first(shards.held):
        if ranks.from_first(lambda: shards.begin(plan)):
            notes.append("an earlier call was cut, with another encoder or other data: begun anew")
        todo = _all_shards(examples)
        # Found by the first alone: another rank may have begun to write when a third one looks.
        missing = ranks.from_first(lambda: _missing(shards, todo))
        kept = sum(len(job) for job in todo if job.number not in set(missing))
        mine = [todo[number] for number in missing[ranks.rank :: ranks.count]]
        with ranks.agreeing():
            _compute(encoder, examples, mine, shards, torch.device(device), workers, threads, say)
        rows, more = ranks.from_first(
            lambda: _join(encoder, examples, todo, shards, out, encoder_path)
        )
        if ranks.first:
            shards.remove()
    return Embedded(out, rows, encoder.num_features, kept, (*notes, *more))


def features_of(
    encoder: SavedEncoder,
    examples: Examples,
    *,
    device: str | torch.device = "cpu",
    workers: int = 0,
    threads: ThreadChoice | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Features, tuple[str, ...]]:
    """The features of every example in memory, and notes; nothing is written.

    Args:
        encoder: On `device`; the other arguments are those of `embed`.

    Raises:
        NearfarError: As for `embed`.
    """
    for part in examples.parts.values():
        _check_fits(encoder, part)
    held: dict[int, Shard] = {}
    todo = _all_shards(examples)
    _compute(encoder, examples, todo, held, torch.device(device), workers, threads, say)
    rows, notes = _rows(examples, todo, lambda job: held[job.number])
    features = torch.cat([held[job.number].features for job in todo])
    labels = None if rows.labels is None else torch.from_numpy(rows.labels)
    found = Features(features, rows.names, labels, examples.class_names, rows.parts)
    if encoder.modality == "texts" and examples.origin:
        # So that their words are found, as those of saved features are.
        about = About(
            encoder=encoder_fingerprint(encoder),
            encoder_path="",
            modality="texts",
            data=dict(examples.origin),
            rows=len(features),
            width=encoder.num_features,
            features_sha256="",
            rows_sha256="",
            nearfar=version("nearfar"),
        )
        found = replace(found, about=about)
    return found, (*examples.notes, *notes)


@dataclass(frozen=True)
class _Job:
    """The rows of one shard."""

    number: int
    part: str
    taken: slice

    def __len__(self) -> int:
        return self.taken.stop - self.taken.start


@dataclass(frozen=True)
class _Rows:
    """What belongs to all rows."""

    names: list[str]
    labels: np.ndarray | None
    parts: list[str] | None


def _check_fits(encoder: SavedEncoder, part: Part) -> None:
    if isinstance(part.examples, TolerantImages):
        encoder.check(part.examples.image_shape, part.modality)
    else:
        encoder.check(part.example_shape, part.modality)


def _fingerprint(part: Part) -> str:
    """Of the examples, and of files also when they were changed."""
    digest, examples = part_fingerprint(part), part.examples
    images = examples.images if isinstance(examples, TolerantImages) else examples
    if isinstance(images, StreamedImages):
        digest += hashlib.sha256(images.changed().tobytes()).hexdigest()
    return digest


def _all_shards(examples: Examples) -> list[_Job]:
    taken = [(name, rows) for name, part in examples.parts.items() for rows in slices(len(part))]
    return [_Job(number, name, rows) for number, (name, rows) in enumerate(taken)]


def _missing(shards: Shards, jobs: Sequence[_Job]) -> list[int]:
    """The numbers of the shards that are not there, or not whole."""
    return [job.number for job in jobs if not _is_whole(shards.read(job.number), job)]


def _is_whole(shard: Shard | None, job: _Job) -> bool:
    if shard is None:
        return False
    inside = (shard.rows >= job.taken.start) & (shard.rows < job.taken.stop)
    return len(shard.rows) == len(shard.features) and bool(inside.all())


def _compute(
    encoder: SavedEncoder,
    examples: Examples,
    jobs: Sequence[_Job],
    shards: Any,
    device: torch.device,
    workers: int,
    threads: ThreadChoice | None,
    say: Callable[[str], None],
) -> None:
    """Compute shards and keep each in `shards`: on the disk, or in a dictionary."""
    total, skipped, done = sum(len(part) for part in examples.parts.values()), 0, 0
    for name, part in examples.parts.items():
        own = [job for job in jobs if job.part == name]
        batches = _batches(part, own, device, workers)
        with frozen(encoder), torch.autocast(device.type, enabled=False):
            for job in own:
                shard = _shard(encoder, part, job, batches, threads)
                if isinstance(shards, dict):
                    shards[job.number] = shard
                else:
                    shards.write(job.number, shard)
                skipped += len(job) - len(shard.rows)
                _refuse_corrupt(examples, skipped, total)
                done += len(job)
                say(f"{done:,} of {sum(map(len, jobs)):,} embedded")


def _batches(
    part: Part, jobs: Sequence[_Job], device: torch.device, workers: int
) -> Iterator[Tensor]:
    """The examples of all jobs, at most so many at once, never of two jobs together."""
    if isinstance(part.examples, StreamedExamples):
        if not jobs:
            return
        rows = torch.cat([as_rows(job.taken) for job in jobs])
        # Only the part's last rows are fewer than a whole number of batches, and come last.
        wanted = choose(replace(part, labels=None, names=None), rows).examples
        for batch, _ in evaluation_batches(
            wanted, batch_size=BATCH, device=device, workers=workers
        ):
            yield batch
        return
    for job in jobs:
        for first in range(job.taken.start, job.taken.stop, BATCH):
            yield part.examples[first : min(first + BATCH, job.taken.stop)].to(device)


def _shard(
    encoder: SavedEncoder,
    part: Part,
    job: _Job,
    batches: Iterator[Tensor],
    threads: ThreadChoice | None,
) -> Shard:
    rows, features, kept = [], [], []
    first = job.taken.start
    while first < job.taken.stop:
        batch = next(batches)
        numbers = torch.arange(first, first + len(batch))
        first += len(batch)
        if isinstance(part.examples, TolerantImages):
            batch, shares = part.examples.opened(batch)
            batch, numbers = batch[(shares > 0).to(batch.device)], numbers[shares > 0]
            kept.append(shares)
        if not len(batch):
            continue
        if threads is not None:
            threads.before_step(lambda few=batch[:MEASURED]: functools.partial(encoder, few))
        found = encoder(batch).float().flatten(1).cpu()
        if threads is not None:
            threads.after_step()
        rows.append(numbers)
        features.append(check_finite(found, f"the features from row {int(numbers[0])} on"))
    if not rows:
        rows, features = [torch.empty(0, dtype=torch.int64)], [torch.empty(0, encoder.num_features)]
    return Shard(torch.cat(rows), torch.cat(features), torch.cat(kept) if kept else torch.empty(0))


def _refuse_corrupt(examples: Examples, skipped: int, total: int, named: str = "") -> None:
    if skipped and (skipped > examples.max_corrupt * total or skipped == total):
        where = examples.origin.get("folder", "the data")
        raise NearfarError(
            f"{where}: {skipped} of {total} images cannot be read, over --max-corrupt "
            f"{examples.max_corrupt:g}; mend or remove them, or raise that share{named}"
        )


def _rows(
    examples: Examples, jobs: Sequence[_Job], read: Callable[[_Job], Shard]
) -> tuple[_Rows, list[str]]:
    """What belongs to the rows that could be read, and notes on those that could not."""
    names: list[str] = []
    labels: list[np.ndarray] = []
    parts: list[str] = []
    kept: list[Tensor] = []
    faults: list[str] = []
    skipped = 0
    for job in jobs:
        part, shard = examples.parts[job.part], read(job)
        names += [_name(part, job.part, row) for row in shard.rows.tolist()]
        if part.labels is None:
            labels.append(np.full(len(shard.rows), -1))
        else:
            labels.append(part.labels[shard.rows].cpu().numpy())
        parts += [job.part] * len(shard.rows)
        kept.append(shard.kept[shard.kept > 0])
        lost = sorted(set(as_rows(job.taken).tolist()) - set(shard.rows.tolist()))
        skipped += len(lost)
        faults += [_fault(part, row) for row in lost[: _MOST_NAMED - len(faults)]]
    total = sum(len(part) for part in examples.parts.values())
    more = f" and {skipped - len(faults)} more" if skipped > len(faults) else ""
    _refuse_corrupt(examples, skipped, total, f": {', '.join(faults)}{more}")
    notes = fit_note(torch.cat(kept).tolist(), examples.fit) if kept else []
    if skipped:
        notes.append(f"skipped {skipped} of {total} images: {', '.join(faults)}{more}")
    every = np.concatenate(labels)
    has_labels, several = bool((every >= 0).any()), len(examples.parts) > 1
    return _Rows(names, every if has_labels else None, parts if several else None), notes


def _name(part: Part, part_name: str, row: int) -> str:
    return f"{part_name or 'row'}/{row}" if part.names is None else part.names[row]


def _fault(part: Part, row: int) -> str:
    assert isinstance(part.examples, TolerantImages)
    why = part.examples.fault(row) or "unreadable a moment ago"
    return f"{printable(_name(part, '', row))} ({why})"


def _join(
    encoder: SavedEncoder,
    examples: Examples,
    jobs: Sequence[_Job],
    shards: Shards,
    out: Path,
    encoder_path: Path | str,
) -> tuple[int, list[str]]:
    """Put the shards together in one file; each is checked again on the way."""

    def read(job: _Job) -> Shard:
        shard = shards.read(job.number)
        if shard is None:
            raise NearfarError(
                f"{shards.folder} lacks rows that another rank has computed: --out must lie where "
                "all of them write"
            )
        return shard

    rows, notes = _rows(examples, jobs, read)
    digest = hashlib.sha256()
    for job in jobs:
        digest.update(read(job).features.numpy().data)
    class_names = examples.class_names if rows.labels is not None else None
    about = About(
        encoder=encoder_fingerprint(encoder),
        encoder_path=str(Path(encoder_path).absolute()) if encoder_path else "memory",
        modality=next(iter(examples.parts.values())).modality,
        data=dict(examples.origin),
        rows=len(rows.names),
        width=encoder.num_features,
        features_sha256=digest.hexdigest(),
        rows_sha256=rows_digest(rows.names, rows.labels, rows.parts, class_names),
        nearfar=version("nearfar"),
        output="features" if encoder.head is None else "embedding",
    )
    text = about_as_text(about, class_names)
    beside = Written(text, rows.names, rows.labels, rows.parts, class_names, encoder.num_features)
    write_features(out, beside, (read(job).features.numpy() for job in jobs))
    return len(rows.names), notes
