"""Batches of examples on the device: shuffled for training, in order for evaluation."""

import signal
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from nearfar.data.source import Examples, Partners, StreamedExamples
from nearfar.errors import NearfarError, SettingError
from nearfar.modality import Modality
from nearfar.standardising import NO_FLOAT64


class TrainingBatches:
    """Shuffled batches of one size, whose order depends on the seed and the epoch alone.

    Of several ranks, each has an equal share of every batch, in one piece: put together in the
    order of the ranks, they are the batch that a single process would have.

    The position in the data is `(epoch, step)`; there is no other state to save. Examples in memory
    move to the device once; streamed ones are decoded by worker processes that live for one
    epoch.

    Args:
        examples: All of them, in memory or streamed.
        labels: Class of each example, or None.
        batch_size: Examples in a batch, on all ranks together; 1 up to the number of examples, and
            a multiple of the number of ranks.
        seed: Seed of the order; 0 or more.
        device: Where batches are wanted.
        workers: Processes that decode streamed examples; 0 decodes in this one.
        rank: Which rank's share to yield, from 0.
        ranks: How many share each batch.
        numbers: What each example is called in the indices that are yielded; its place where left
            out.
        modality: What the examples are.
        partners: What the data put beside each of them; None where they put nothing.

    Raises:
        SettingError: If no batch of this size can be drawn.
    """

    def __init__(
        self,
        examples: Examples,
        labels: Int64[Tensor, " n"] | None,
        *,
        batch_size: int,
        seed: int,
        device: torch.device | str,
        workers: int = 0,
        rank: int = 0,
        ranks: int = 1,
        numbers: Int64[Tensor, " n"] | None = None,
        modality: Modality = "images",
        partners: Partners | None = None,
    ) -> None:
        if batch_size < 1:
            raise SettingError(f"batch_size={batch_size}: at least 1")
        if batch_size % ranks:
            raise SettingError(f"batch_size={batch_size}: a multiple of the {ranks} ranks")
        if batch_size > len(examples):
            raise SettingError(
                f"batch_size={batch_size} is larger than the data: there are {len(examples)} "
                "training examples"
            )
        if seed < 0:
            raise SettingError(f"seed={seed}: 0 or more")
        if labels is not None and len(labels) != len(examples):
            raise NearfarError(
                f"{len(labels)} labels for {len(examples)} examples: one each is needed"
            )
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self.workers = workers
        self.rank = rank
        self.ranks = ranks
        self.numbers = torch.arange(len(examples)) if numbers is None else numbers
        self.modality = modality
        self.partners = partners
        self._stands_in: dict[int, int] = {}
        streamed = isinstance(examples, StreamedExamples)
        if not streamed and examples.dtype == torch.float64 and self.device.type == NO_FLOAT64:
            raise SettingError(
                f"training.device is {self.device.type}, which has no float64, and the {modality} "
                "need it, as float32 would lose digits: use --training.device cpu"
            )
        self.examples = examples if streamed else examples.to(self.device)
        self.labels = None if labels is None else labels.to(self.device)

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last partial one is left out."""
        return len(self.examples) // self.batch_size

    def epoch(
        self, number: int, first_step: int = 0
    ) -> Iterator[tuple[Tensor, Int64[Tensor, " _"] | None, Int64[Tensor, " _"]]]:
        """Yield this rank's share of the batches of one epoch.

        Args:
            number: Which epoch, from 0; each has its own order.
            first_step: Batches to pass over, unread: 0 up to `steps_per_epoch`.

        Yields:
            Examples on the device, their labels there or None, and their numbers on the CPU.
        """
        order = _shuffled(len(self.examples), self.seed, number)
        steps = range(first_step, self.steps_per_epoch)
        share = self.batch_size // self.ranks
        firsts = [step * self.batch_size + self.rank * share for step in steps]
        batches = [order[first : first + share] for first in firsts]
        # Moved there at once: a copy for each batch would wait for all that the device has to do.
        on_device = order.to(self.device)
        batches_there = [on_device[first : first + share] for first in firsts]
        for (examples, given), indices, there in zip(
            self._gathered(batches, batches_there), batches, batches_there, strict=True
        ):
            others = (given != indices).nonzero().squeeze(1)
            self._stands_in |= zip(indices[others].tolist(), given[others].tolist(), strict=True)
            labels = None if self.labels is None else self.labels[there]
            yield examples, labels, self.numbers[indices]

    def _gathered(
        self, batches: list[Tensor], batches_there: list[Tensor]
    ) -> Iterator[tuple[Tensor, Int64[Tensor, " _"]]]:
        """The examples of each batch of indices, which are given on the CPU and on the device."""
        if isinstance(self.examples, StreamedExamples):
            yield from _streamed(self.examples, batches, self.device, self.workers)
            return
        for indices, there in zip(batches, batches_there, strict=True):
            yield self.examples[there], indices

    def beside(self, indices: Int64[Tensor, " _"], generator: torch.Generator) -> Tensor | None:
        """What second views are of, or what is paired with the examples; not these themselves.

        Args:
            indices: Of a batch, as `epoch` yields them.
            generator: Draws one of several.

        Returns:
            One example each, on the device: where another example stood in for one that could not
            be read, of that other; None where the data put nothing beside them.

        Raises:
            NearfarError: What stood in is no example of the part, and has nothing beside it.
        """
        if self.partners is None:
            return None
        # Numbers ascend: what is held out leaves gaps.
        places = torch.searchsorted(self.numbers, indices)
        if self._stands_in:
            places.apply_(lambda place: self._stands_in.get(place, place))
            if (places < 0).any():
                raise NearfarError(
                    "an image cannot be read, nor any of 40 that were to stand in for it with what "
                    "is beside them: see whether all are there, then go on with --resume"
                )
        return self.partners.drawn(self.examples, places, generator).to(self.device)


def evaluation_batches(
    examples: Examples, *, batch_size: int, device: torch.device | str, workers: int = 0
) -> Iterator[tuple[Tensor, Int64[Tensor, " _"]]]:
    """Yield every example exactly once, in order.

    Args:
        examples: All of them, in memory or streamed.
        batch_size: Largest number of examples in a batch; at least 1.
        device: Where batches are wanted.
        workers: Processes that decode streamed examples; 0 decodes in this one.

    Yields:
        Examples on the device and their indices on the CPU.
    """
    if batch_size < 1:
        raise SettingError(f"batch_size={batch_size}: at least 1")
    batches = list(torch.arange(len(examples)).split(batch_size)) if len(examples) else []
    device = torch.device(device)
    if isinstance(examples, StreamedExamples):
        found = (batch for batch, _ in _streamed(examples, batches, device, workers))
    else:
        found = (examples[indices.to(examples.device)].to(device) for indices in batches)
    yield from zip(found, batches, strict=True)


def _shuffled(count: int, seed: int, epoch: int) -> Int64[Tensor, " n"]:
    """The order of one epoch, from seed and epoch alone."""
    mixed = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0]
    # manual_seed takes 63 bits without wrapping.
    generator = torch.Generator().manual_seed(int(mixed >> np.uint64(1)))
    return torch.randperm(count, generator=generator)


def _streamed(
    examples: StreamedExamples,
    batches: Sequence[Int64[Tensor, " _"]],
    device: torch.device,
    workers: int,
) -> Iterator[tuple[Tensor, Int64[Tensor, " _"]]]:
    """What each batch of indices gives, on the device, and the indices of the examples it is."""
    loader = DataLoader(
        _ErrorsAsItems(examples),
        batch_sampler=[indices.tolist() for indices in batches],
        num_workers=min(workers, len(batches)),
        collate_fn=_stack_or_error,
        worker_init_fn=_prepare_worker,
        pin_memory=device.type == "cuda",
        # Its own generator: the loader must not draw from the one that a checkpoint restores.
        generator=torch.Generator(),
    )
    for batch, given, faults in loader:
        if examples.faults is not None:
            examples.faults.add(faults)
        if isinstance(batch, NearfarError):
            raise batch
        yield batch.to(device, non_blocking=True), torch.tensor(given)


_Faults = list[tuple[str, str]]
_Item = tuple[Tensor | NearfarError, int, _Faults]
"""An example, or what is wrong with it; the index of the example that it is; and name and fault of
files that others stand in for."""


def _prepare_worker(worker: int) -> None:  # noqa: ARG001  (the loader passes it)
    """Leave signals to the main process, which saves first, and be quiet about odd metadata."""
    # Terminals, torchrun and schedulers send them to a whole group of processes.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    warnings.filterwarnings("ignore", module=r"PIL\b")


class _ErrorsAsItems(Dataset):
    """Hands an error over as an item: raised in a worker, its one line becomes a traceback."""

    def __init__(self, examples: StreamedExamples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> _Item:
        try:
            example, given = self.examples.given(index)
        except NearfarError as error:
            example, given = error, index
        faults = self.examples.faults
        # Found in this process, and told to the main one with the batch that they were met in.
        return example, given, [] if faults is None else faults.news()


def _stack_or_error(items: list[_Item]) -> tuple[Tensor | NearfarError, list[int], _Faults]:
    """The batch, or the first error in it; the index of each example; and all faults."""
    faults = [fault for _, _, found in items for fault in found]
    given = [index for _, index, _ in items]
    examples: list[Tensor] = []
    for example, _, _ in items:
        if isinstance(example, NearfarError):
            return example, given, faults
        examples.append(example)
    return torch.stack(examples), given, faults
