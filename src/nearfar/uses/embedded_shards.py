"""Features a thousand rows at a time: what is missing is computed, and what belongs to all rows."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nearfar.data.batches import evaluation_batches
from nearfar.data.common_shape import fit_note
from nearfar.data.file_faults import MOST_NAMED, named
from nearfar.data.source import Part, StreamedExamples, choose
from nearfar.data.tolerant_files import TolerantImages
from nearfar.encoders.saved_encoder import SavedEncoder
from nearfar.errors import NearfarError
from nearfar.evaluation.features import MEASURED, check_finite, frozen
from nearfar.outside_text import printable
from nearfar.training.thread_choice import ThreadChoice
from nearfar.uses.embeddable import Examples
from nearfar.uses.shards import Shard, Shards, as_rows, slices

BATCH = 512


@dataclass(frozen=True)
class Job:
    """The rows of one shard."""

    number: int
    part: str
    taken: slice

    def __len__(self) -> int:
        return self.taken.stop - self.taken.start


@dataclass(frozen=True)
class Rows:
    """What belongs to all rows."""

    names: list[str]
    labels: np.ndarray | None
    parts: list[str] | None


def all_shards(examples: Examples) -> list[Job]:
    """The shards of all parts, in the order of their rows."""
    taken = [(name, rows) for name, part in examples.parts.items() for rows in slices(len(part))]
    return [Job(number, name, rows) for number, (name, rows) in enumerate(taken)]


def missing_shards(shards: Shards, jobs: Sequence[Job]) -> list[int]:
    """The numbers of the shards that are not there, or not whole."""
    return [job.number for job in jobs if not _is_whole(shards.read(job.number), job)]


def _is_whole(shard: Shard | None, job: Job) -> bool:
    if shard is None:
        return False
    inside = (shard.rows >= job.taken.start) & (shard.rows < job.taken.stop)
    return len(shard.rows) == len(shard.features) and bool(inside.all())


def compute(
    encoder: SavedEncoder,
    examples: Examples,
    jobs: Sequence[Job],
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
    part: Part, jobs: Sequence[Job], device: torch.device, workers: int
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
    job: Job,
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


def rows_of(
    examples: Examples, jobs: Sequence[Job], read: Callable[[Job], Shard]
) -> tuple[Rows, list[str]]:
    """What belongs to the rows that could be read, and notes on those that could not."""
    names: list[str] = []
    labels: list[np.ndarray] = []
    parts: list[str] = []
    kept: list[Tensor] = []
    faults: list[tuple[str, str]] = []
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
        faults += [_fault(part, row) for row in lost[: MOST_NAMED - len(faults)]]
    total = sum(len(part) for part in examples.parts.values())
    told = named(faults, skipped)
    _refuse_corrupt(examples, skipped, total, f": {told}")
    notes = fit_note(torch.cat(kept).tolist(), examples.fit) if kept else []
    if skipped:
        notes.append(f"skipped {skipped} of {total} images: {told}")
    every = np.concatenate(labels)
    has_labels, several = bool((every >= 0).any()), len(examples.parts) > 1
    return Rows(names, every if has_labels else None, parts if several else None), notes


def _name(part: Part, part_name: str, row: int) -> str:
    return f"{part_name or 'row'}/{row}" if part.names is None else part.names[row]


def _fault(part: Part, row: int) -> tuple[str, str]:
    assert isinstance(part.examples, TolerantImages)
    why = part.examples.fault(row) or "unreadable a moment ago"
    return printable(_name(part, "", row)), why
