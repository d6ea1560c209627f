"""Refuses a run that no memory of this machine can hold, before anything of it is built."""

import math

import torch
from torch import nn

from nearfar.errors import SettingError
from nearfar.launch import launched
from nearfar.machine_memory import whole_memory
from nearfar.recipes.recipe import Recipe


def require_memory(
    recipe: Recipe, method: nn.Module, shape: tuple[int, ...], device: torch.device
) -> None:
    """Refuse a run whose weights or views alone are larger than the memory.

    What a network holds between its layers is not counted: it depends on the network, and a run
    that lacks memory for it ends in words of torch's.

    Args:
        recipe: Of the run.
        method: The method, its tensors on the device `meta`: they have shapes and hold nothing.
        shape: Of a view.
        device: Where the run computes.

    Raises:
        SettingError: Naming what it would take, what there is, and what to lower.
    """
    trained = sum(each.numel() for each in method.parameters() if each.requires_grad)
    tensors = [*method.parameters(), *method.buffers()]
    weights = sum(each.numel() * each.element_size() for each in tensors)
    # Beside the weights lie their gradients and what the optimizer remembers of each.
    weights += 4 * trained * (1 + recipe.training.optimizer.moments)
    share = recipe.training.batch_size // launched().ranks
    views = 4 * recipe.views.count * share * math.prod(shape)
    there = memory_of(device) // (launched().local_ranks if device.type == "cpu" else 1)
    if weights + views <= there:
        return
    larger = (
        f"{_gib(weights)} for weights, gradients and what the optimizer and the method remember: "
        "lower encoder.width or the method's widths or queue_size"
        if weights > views
        else f"{_gib(views)} for the views of a step: lower views.size, views.count or "
        "training.batch_size"
    )
    raise SettingError(
        f"the run needs {_gib(weights + views)} of memory, and there are {_gib(there)}; {larger}"
    )


def memory_of(device: torch.device) -> int:
    """Bytes of memory that a process may use there at most.

    Args:
        device: The CPU, or a GPU that this machine has.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[1]
    return whole_memory()


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB"
