"""All that a run is made of between two steps, as a checkpoint: taken apart and put together."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from nearfar.errors import NearfarError
from nearfar.methods.method import Method
from nearfar.training.best_epoch import BestEpoch
from nearfar.training.checkpoints import Checkpoint
from nearfar.training.generators import Generators
from nearfar.training.loss_scale import LossScale
from nearfar.training.online_probe import OnlineProbe
from nearfar.training.parameter_groups import is_shared_out
from nearfar.training.ranks import Ranks
from nearfar.training.weight_average import WeightAverage


@dataclass(frozen=True)
class Position:
    """Where in the data a run stands.

    Attributes:
        epoch: Epoch, from 0.
        step: Steps taken in it. When all are, what ends an epoch (kNN) is still to be done.
    """

    epoch: int = 0
    step: int = 0


@dataclass(frozen=True)
class TrainingState:
    """Parameters, buffers, optimiser and generators: everything that changes and is not on disk.

    Parameters, buffers, their average, the optimiser's and the best epoch's weights are the same
    on all ranks, and saved once; the generators are each rank's own. A probe that learns beside is
    the first rank's alone.
    """

    method: Method
    optimizer: Optimizer
    generators: Generators
    ranks: Ranks
    average: WeightAverage | None = None
    probe: OnlineProbe | None = None
    best: BestEpoch | None = None
    scale: LossScale | None = None

    def take(self, step: int) -> Checkpoint:
        """The state of all ranks after `step` steps, as a checkpoint; every rank calls it.

        Raises:
            NearfarError: Something that is saved once differs between ranks; on every rank.
        """
        tensors = {f"method.{name}": value for name, value in self.method.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{name}": each for name, each in self.average.state_dict().items()}
        for name, parameter in self._optimized():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if value is not None:  # SGD without momentum
                    tensors[f"optimizer.{key}.{name}"] = value
        if self.best is not None:
            tensors |= {f"best.{name}": value for name, value in self.best.state_dict().items()}
        if self.scale is not None:
            tensors |= {f"scale.{name}": value for name, value in self.scale.state_dict().items()}
        tensors = self._together(tensors)
        if self.probe is not None:
            tensors |= {f"probe.{name}": value for name, value in self.probe.state_dict().items()}
        scalars: dict[str, Any] = {"ranks": self.ranks.count}
        if self.best is not None:
            scalars["best"] = self.best.figures
        for rank, drawn in enumerate(self.ranks.gather(self.generators.state())):
            tensors |= {f"generator{_of(rank)}.{name}": value for name, value in drawn.items()}
        return Checkpoint(step, tensors, scalars)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Put everything back as it was; on another number of ranks, draws begin anew.

        Raises:
            NearfarError: The checkpoint is of another method or optimiser.
        """
        method = _under("method.", checkpoint.tensors)
        saved = _under("optimizer.", checkpoint.tensors)
        try:
            own = self.method.state_dict()
            self.method.load_state_dict(
                {name: _as_held(value, own.get(name)) for name, value in method.items()}
            )
            if self.average is not None:
                self.average.load_state_dict(_under("average.", checkpoint.tensors))
            if self.best is not None:
                self.best.load(_under("best.", checkpoint.tensors), checkpoint.scalars["best"])
            if self.probe is not None:
                self.probe.load_state_dict(_under("probe.", checkpoint.tensors))
            scale = _under("scale.", checkpoint.tensors)
            if self.scale is not None and scale:  # none of a run that began in another precision
                self.scale.load_state_dict(scale)
            self._restore_optimizer(saved)
            if ranks_of(checkpoint) == self.ranks.count:
                own = _of(self.ranks.rank)
                self.generators.restore(_under(f"generator{own}.", checkpoint.tensors))
            else:
                self.generators.begin_anew(checkpoint.step)
        except (RuntimeError, KeyError) as error:
            first = str(error).strip().splitlines()[-1].strip()
            raise NearfarError(
                f"checkpoint {checkpoint.name} does not fit this configuration: {first}"
            ) from error

    def _restore_optimizer(self, saved: Mapping[str, Tensor]) -> None:
        state: dict[int, dict[str, Tensor]] = {}
        places = {name: index for index, (name, _) in enumerate(self._optimized())}
        parameters = dict(self._optimized())
        for entry, value in saved.items():
            key, _, name = entry.partition(".")
            parameter = parameters[name]
            if value.shape == parameter.shape:
                # In the parameter's own memory order: another one changes the order of sums.
                value = torch.empty_like(parameter).copy_(_as_held(value, parameter))
            state.setdefault(places[name], {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _together(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """Tensors as a checkpoint holds them: whole, and once."""
        shared = {name: each for name, each in tensors.items() if is_shared_out(each)}
        self._check_that_ranks_agree(
            {name: each for name, each in tensors.items() if name not in shared}
        )
        if not shared:
            return tensors
        from nearfar.training.sharding import gathered

        return gathered(tensors, keep=self.ranks.first)

    def _check_that_ranks_agree(self, tensors: Mapping[str, Tensor]) -> None:
        """Refuse to save once what is not the same everywhere: a rank's own would be lost."""
        if self.ranks.count == 1:
            return
        held = self.ranks.gather({name: _digest(value) for name, value in tensors.items()})
        for name in dict.fromkeys(name for names in held for name in names):
            if len({names.get(name) for names in held}) > 1:
                raise NearfarError(
                    f"{name} differs between ranks, and a checkpoint holds it once: a method must "
                    "compute it from the rows of all ranks (similarity.gathering.gather_rows)"
                )

    def _optimized(self) -> list[tuple[str, nn.Parameter]]:
        """Names and parameters in the optimiser's own order."""
        names = {parameter: name for name, parameter in self.method.named_parameters()}
        groups = self.optimizer.param_groups
        return [(names[parameter], parameter) for group in groups for parameter in group["params"]]


def ranks_of(checkpoint: Checkpoint) -> int:
    """On how many ranks it was made."""
    return checkpoint.scalars.get("ranks", 1)


def _as_held(value: Tensor, like: Tensor | None) -> Tensor:
    """This rank's share of a value, where what it goes into is shared out."""
    if like is None or not is_shared_out(like):
        return value
    from nearfar.training.sharding import as_held

    return as_held(value, like)


def _of(rank: int) -> str:
    """Suffix of the names of a rank's own state; none for the first rank."""
    return f"-{rank}" if rank else ""


def _digest(tensor: Tensor) -> str:
    held = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(held.numpy().data).hexdigest()


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
