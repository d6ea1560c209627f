"""What ranks average in each step: gradients, while the backward pass runs, then what is left.

`DistributedDataParallel` averages bucket after bucket of gradients as the backward pass gives them.
It begins where its own `forward` was called, and counts each parameter once. A step of gradient
caching has many backward passes, and a method is called in two stages; so what is passed through
that `forward` is no module's input but the tensors that the step's last backward pass starts from.
The passes before it only add to the gradients, as under `no_sync`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from nearfar.training.ranks import Ranks


class StepAverage:
    """Gradients, loss and running statistics of a step, averaged over the ranks.

    Averages of equal shares are those of the global batch; what is not finite on one rank is not
    finite on any. A gradient that no rank has stays None. Buckets keep the order of the parameters,
    because the order of sums is part of a run that is resumed to the same bits. Alone, nothing
    happens.

    Args:
        module: Whose batch-norm is averaged.
        parameters: Whose gradients are, the same on every rank; all want a gradient.
        ranks: Over whom.
    """

    def __init__(self, module: nn.Module, parameters: Sequence[nn.Parameter], ranks: Ranks) -> None:
        self.parameters = tuple(parameters)
        self._module = module
        self._ranks = ranks
        self._averaged = False
        self._parallel: DistributedDataParallel | None = None
        if ranks.count > 1:
            self._parallel = DistributedDataParallel(
                _Passing(parameters),
                init_sync=False,  # `Ranks.begin_alike` has done it, for every type
                find_unused_parameters=True,  # else buckets take another order in the second step
                gradient_as_bucket_view=True,
            )

    def last_pass(self, *starts: Tensor) -> tuple[Tensor, ...]:
        """The same tensors; the backward pass from them, the last of the step, averages.

        Args:
            starts: All that it starts from, with a graph.
        """
        if self._parallel is None:
            return starts
        self._averaged = True
        return self._parallel(*starts)

    def finish(self, loss: Tensor) -> None:
        """Average, in place, what the backward pass did not.

        That is the loss, the running statistics of batch-norm, which each rank took from its own
        rows, and the gradients too where no backward pass was said to be the last.

        Args:
            loss: Detached.
        """
        if self._parallel is None:
            return
        if not self._averaged:
            (start,) = self.last_pass(self._parallel.module.start.clone())
            start.backward()
        self._averaged = False
        self._ranks.average([loss, *running_statistics(self._module)])


class _Passing(nn.Module):
    """Holds parameters, and gives on what it is given.

    `start` is where a backward pass begins that computes nothing. In all others it is unused, so
    that torch does not warn of unused parameters that were looked for and not found.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.parameters_of_step = nn.ParameterList(parameters)
        self.start = nn.Parameter(torch.zeros((), device=parameters[0].device))

    def forward(self, *starts: Tensor) -> tuple[Tensor, ...]:
        return starts


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Running means and variances of the batch-norm that is being trained."""
    return [
        statistic
        for layer in module.modules()
        if isinstance(layer, _BatchNorm) and layer.training
        for statistic in (layer.running_mean, layer.running_var)
        if statistic is not None
    ]
