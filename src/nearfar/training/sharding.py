"""Encoders that do not fit: each rank holds a share of their weights, gradients and moments.

FSDP2 (Zhao et al. 2023) brings the weights of a part of the encoder together when it is computed,
and adds up its gradients over the ranks as the backward pass gives them. What is not the encoder
(heads, a classifier) is small, and whole on every rank.
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from nearfar.errors import SettingError
from nearfar.methods.method import Method
from nearfar.training.averaging import StepAverage, running_statistics
from nearfar.training.placing import Placing
from nearfar.training.ranks import Ranks
from nearfar.training.weight_average import lasting_parts

LEAST_PART = 1_000_000
"""Weights of a part of the encoder that is brought together by itself; smaller ones are together
with what surrounds them, for an exchange of few bytes is not worth its start."""


class Shards(Placing):
    """A method whose encoders are shared out over the ranks, from now to the end of its training.

    Args:
        method: The same on every rank, on the CPU.
        device: Where it computes.
        ranks: Who shares; 2 or more.

    Raises:
        SettingError: The method keeps a slow copy of its encoder, which would stay whole.
    """

    shared_out = True

    def __init__(self, method: Method, device: torch.device, ranks: Ranks) -> None:
        super().__init__(method, ranks)
        lasting = {id(each) for each in lasting_parts(method).parameters()}
        of_modules = [each for child in method.children() for each in child.parameters()]
        if any(not each.requires_grad and id(each) not in lasting for each in of_modules):
            raise SettingError(
                f"training.shard is True: {type(method).__name__} keeps a slow copy of its "
                "encoder, which would be whole on every rank: choose a method without one, such as "
                "simclr, or leave it out"
            )
        tower = method.second_tower
        encoders = {id(method.encoder), *([] if tower is None else [id(tower.encoder)])}
        self._names = [name for name, each in method.named_children() if id(each) in encoders]
        self._whole = nn.ModuleDict()
        if ranks.first:  # which judges and saves them
            self._whole.update({each: copy.deepcopy(getattr(method, each)) for each in self._names})
        mesh = init_device_mesh(device.type, (ranks.count,))
        for name in self._names:
            encoder = getattr(method, name)
            for part in _parts(encoder):
                fully_shard(part, mesh=mesh)
            fully_shard(encoder, mesh=mesh)
        method.to(device)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """A step is computed in here.

        Raises:
            SettingError: The method calls parts of its encoder, whose weights are not there.
        """
        try:
            yield
        except RuntimeError as error:
            if "mixed torch.Tensor and DTensor" not in str(error):
                raise
            raise SettingError(
                f"training.shard is True: {type(self.method).__name__} does not call its encoder "
                "as a whole: leave it out"
            ) from error

    def average(self, parameters: Sequence[nn.Parameter]) -> "ShardAverage":
        """What averages the rest of a step over the ranks.

        Args:
            parameters: All that are trained.
        """
        return ShardAverage(self.method, parameters, self.ranks)

    def gather(self) -> None:
        """Bring the encoders together as they are now, on the first rank's CPU; all call it."""
        for name in self._names:
            state = getattr(self.method, name).state_dict()
            held = gathered(state, keep=name in self._whole)
            if name in self._whole:
                self._whole[name].load_state_dict(held)

    @property
    def encoder(self) -> nn.Module:
        """The encoder as it was gathered, in evaluation mode; on the first rank alone."""
        return self._whole["encoder"].eval()

    def put_in_place(self) -> None:
        """Give the method its encoders in their usual form, on the first rank; all call it."""
        self.gather()
        for name, encoder in self._whole.items():
            setattr(self.method, name, encoder)


class ShardAverage(StepAverage):
    """What of a step is averaged over the ranks beside the shared out gradients.

    Those are averaged by FSDP, as the backward pass gives them.

    Args:
        module: Whose batch-norm is averaged.
        parameters: All that are trained.
        ranks: Over whom.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
        super().__init__(module, parameters, Ranks())  # nothing is averaged as a whole is
        self._over = ranks
        self._whole = [each for each in parameters if not isinstance(each, DTensor)]

    def finish(self, loss: Tensor) -> None:
        """Average, in place, the loss, running statistics, and gradients that each rank has whole.

        Args:
            loss: Detached.
        """
        gradients = [each.grad for each in self._whole if each.grad is not None]
        self._over.average([loss, *running_statistics(self._module), *gradients])


def gathered(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Tensors with those that are shared out brought together, one at a time, on the CPU.

    Every rank calls it with the same names in the same order.

    Args:
        keep: Whether this rank wants those; else it is given the others alone.
    """
    whole = {}
    for name, tensor in tensors.items():
        if isinstance(tensor, DTensor):
            together = tensor.full_tensor()
            if keep:
                whole[name] = together.cpu()
        else:
            whole[name] = tensor
    return whole


def as_held(whole: Tensor, like: Tensor | None) -> Tensor:
    """This rank's share of a tensor, where another is shared out; else the tensor.

    Args:
        whole: The same on every rank.
        like: What it is to be copied into.
    """
    if not isinstance(like, DTensor):
        return whole
    there = whole.to(like.device, like.dtype)
    return distribute_tensor(there, like.device_mesh, like.placements)


def _parts(encoder: nn.Module) -> list[nn.Module]:
    """Blocks of an encoder that are large enough to be brought together by themselves.

    Those inside of others come first, as `fully_shard` wants them.
    """
    blocks = {
        id(block): block
        for stage in encoder.modules()
        if isinstance(stage, nn.Sequential)
        for block in stage
        if sum(each.numel() for each in block.parameters()) >= LEAST_PART
    }
    return list(blocks.values())[::-1]
