"""Features of every example of a source, written as they come, in memory that does not grow."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from nearfar.data.fingerprint import part_fingerprint
from nearfar.data.source import Part
from nearfar.data.streamed_images import StreamedImages
from nearfar.data.tolerant_files import TolerantImages
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError
from nearfar.training.ranks import Ranks
from nearfar.training.thread_choice import ThreadChoice
from nearfar.uses.embeddable import Examples
from nearfar.uses.embedded_shards import Job, all_shards, compute, missing_shards, rows_of
from nearfar.uses.encoder_fingerprint import encoder_fingerprint
from nearfar.uses.features_file import About, Features, about_as_text, rows_digest
from nearfar.uses.file_names import check_features_out
from nearfar.uses.shards import ROWS, Shard, Shards
from nearfar.uses.stored_arrays import Written, write_features


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
        todo = all_shards(examples)
        # Found by the first alone: another rank may have begun to write when a third one looks.
        missing = ranks.from_first(lambda: missing_shards(shards, todo))
        kept = sum(len(job) for job in todo if job.number not in set(missing))
        mine = [todo[number] for number in missing[ranks.rank :: ranks.count]]
        with ranks.agreeing():
            compute(encoder, examples, mine, shards, torch.device(device), workers, threads, say)
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
    todo = all_shards(examples)
    compute(encoder, examples, todo, held, torch.device(device), workers, threads, say)
    rows, notes = rows_of(examples, todo, lambda job: held[job.number])
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


def _join(
    encoder: SavedEncoder,
    examples: Examples,
    jobs: Sequence[Job],
    shards: Shards,
    out: Path,
    encoder_path: Path | str,
) -> tuple[int, list[str]]:
    """Put the shards together in one file; each is checked again on the way."""

    def read(job: Job) -> Shard:
        shard = shards.read(job.number)
        if shard is None:
            raise NearfarError(
                f"{shards.folder} lacks rows that another rank has computed: --out must lie where "
                "all of them write"
            )
        return shard

    rows, notes = rows_of(examples, jobs, read)
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
