"""A step that is not finite has no effect, and nobody waits for the device to know of it."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.optim import Optimizer

from nearfar.methods.method import Method
from nearfar.training.loss_scale import LossScale
from nearfar.training.parameter_groups import is_shared_out
from nearfar.training.weight_average import WeightAverage, lasting_parts


class Guard:
    """Undoes, on the device, what a step has changed whose loss or gradient is not finite.

    Once one is not finite, all that follow are without effect as well: the loop that runs ahead has
    asked for them before it could know. With a loss scale that is so once the scale can fall no
    further; until then such a step is passed over, and the scale falls. Weights and what the
    optimiser remembers are not touched, because the optimiser is told by `found_inf`, as
    `torch.amp.GradScaler` tells it. All else that a step changes (batch-norm's statistics, a
    momentum encoder, a queue, averages, a probe) is copied before the step and put back after it.

    Args:
        optimizer: Heeds `found_inf` (`heeds_found_inf`).
        held: What else a step changes, in place.
        device: Where the run computes.
        scale: Of the loss, which moves by whether steps are sound; None where it is not scaled.

    Attributes:
        ended: Whether the run has come to its end: a step is not finite, and no scale can fall.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        held: Sequence[Tensor],
        device: torch.device,
        scale: LossScale | None = None,
    ) -> None:
        self._optimizer = optimizer
        self._held = list(held)
        self._before = [each.clone() for each in self._held]
        self._scale = scale
        self.ended = torch.zeros((), dtype=torch.bool, device=device)
        self._skipped = self.ended.clone()

    @torch.no_grad()
    def begin(self) -> None:
        """Before a step: remember what it may change."""
        for before, held in zip(self._before, self._held, strict=True):
            before.copy_(held)

    def see(self, sound: Bool[Tensor, ""]) -> None:
        """Before the optimiser's step: whether loss and gradient are finite."""
        self.ended |= ~sound if self._scale is None else ~sound & self._scale.is_least
        self._skipped = ~sound | self.ended
        self._optimizer.found_inf = self._skipped.float()  # type: ignore[attr-defined]

    @torch.no_grad()
    def end(self) -> None:
        """After all that the step changes: put it back, unless the step was sound."""
        for before, held in zip(self._before, self._held, strict=True):
            held.copy_(torch.where(self._skipped, before, held))
        if self._scale is not None:
            self._scale.move(self._skipped)


def heeds_found_inf(optimizer: Optimizer) -> bool:
    """Whether an optimiser divides gradients by `grad_scale` and passes over what `found_inf` says.

    torch's fused ones do, and say so by the name that `torch.amp.GradScaler` looks at. What is
    shared out over ranks is not mixed with such a number.
    """
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    says = getattr(optimizer, "_step_supports_amp_scaling", False)
    return says and not any(map(is_shared_out, parameters))


def divide_gradients(
    optimizer: Optimizer, parameters: Sequence[nn.Parameter], by: Float[Tensor, ""]
) -> None:
    """Let the next step of an optimiser see its gradients divided by a number on the device."""
    if heeds_found_inf(optimizer):
        optimizer.grad_scale = by  # type: ignore[attr-defined]
        return
    for parameter in parameters:
        if parameter.grad is not None:
            # Of a gradient that is shared out, this rank's part.
            own = parameter.grad
            own = own.to_local() if is_shared_out(own) else own  # type: ignore[operator]
            own.div_(by)


def changed_beside(
    method: Method,
    parameters: Sequence[nn.Parameter],
    average: WeightAverage | None,
    probe: nn.Module | None,
) -> list[Tensor]:
    """What a step changes beside the parameters of the optimiser.

    Args:
        method: Its buffers; and parameters that the optimiser does not have, unless they are of
            what outlives the training: there they are frozen, and stay.
        parameters: Those of the optimiser.
        average: Of the weights.
        probe: Learns beside.
    """
    own = {id(each) for each in (*parameters, *lasting_parts(method).parameters())}
    moved = [each for each in method.parameters() if id(each) not in own]
    beside = [] if average is None else list(average.state_dict().values())
    beside += [] if probe is None else list(probe.state_dict().values())
    return [each.detach() for each in (*method.buffers(), *moved, *beside)]
