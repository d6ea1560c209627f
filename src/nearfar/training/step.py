"""One step of training: the gradients of a batch, and what they change."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from nearfar.errors import SettingError
from nearfar.methods.method import Method
from nearfar.training.averaging import StepAverage
from nearfar.training.compiled import CompiledEncoders
from nearfar.training.generators import OwnDraws
from nearfar.training.gradient_caching import cached_gradients
from nearfar.training.guard import Guard, changed_beside, divide_gradients, heeds_found_inf
from nearfar.training.hardware import Hardware
from nearfar.training.late import RUNS_AHEAD
from nearfar.training.loss_scale import LossScale
from nearfar.training.online_probe import OnlineProbe, learn_beside
from nearfar.training.pair_noise import MakeViews, views_of_batch
from nearfar.training.parameter_groups import is_shared_out, set_learning_rate
from nearfar.training.placing import Placing
from nearfar.training.ranks import Ranks
from nearfar.training.specs import TrainingSpec
from nearfar.training.thread_choice import Work
from nearfar.training.weight_average import WeightAverage


class Steps:
    """Takes the steps of a run. Nothing in here waits for the device.

    `gradients` comes first in each step, `take` second. Where steps are `guarded`, one that is not
    finite has no effect, nor have those after it (`Guard`), and the caller may read it as many
    steps late as `ahead` says. Else the caller reads what `gradients` gives, and does not call
    `take` where it says that the run has ended.

    Args:
        method: What is trained.
        optimizer: Of its parameters.
        ranks: Who trains together.
        average: Of the weights, where there is one.
        probe: Learns beside, on the first rank.
        compiled: The encoders, where they are compiled.
        placing: How the method lies; left out, whole.

    Attributes:
        ahead: Steps that may be asked for before the figures of one are read.
        guarded: Whether a step that is not finite has no effect though it is taken.
        scale: Of the loss, under fp16.

    Raises:
        SettingError: The optimiser cannot pass over the steps that fp16 spoils.
    """

    def __init__(
        self,
        method: Method,
        optimizer: Optimizer,
        hardware: Hardware,
        config: TrainingSpec,
        ranks: Ranks,
        average: WeightAverage | None,
        probe: OnlineProbe | None,
        compiled: CompiledEncoders | None = None,
        placing: Placing | None = None,
    ) -> None:
        self._method = method
        self._optimizer = optimizer
        self._hardware = hardware
        self._config = config
        self._parameters = parameters_of(optimizer)
        self._placing = placing or Placing(method, ranks)
        self._over_ranks = self._placing.average(self._parameters)
        self._average = average
        self._probe = probe if ranks.first else None
        self._compiled = compiled
        self._guard: Guard | None = None
        self.scale = LossScale(hardware.device) if hardware.precision == "fp16" else None
        self.ahead = RUNS_AHEAD.get(hardware.device.type, 0) if heeds_found_inf(optimizer) else 0
        if self.scale is not None and not heeds_found_inf(optimizer):
            raise SettingError(
                f"training.precision is fp16: {type(optimizer).__name__} cannot pass over steps "
                "that overflow (it does not heed found_inf): use bf16 or fp32"
            )
        self.guarded = self.ahead > 0 or self.scale is not None
        if self.guarded:
            held = changed_beside(method, self._parameters, average, self._probe)
            self._guard = Guard(optimizer, held, hardware.device, self.scale)

    def gradients(
        self, views: tuple[Tensor, ...], labels: Tensor | None
    ) -> Float[Tensor, " figures"]:
        """Leave the gradients of one batch in the parameters.

        Returns:
            On the device: the loss; the norm of the gradients; whether the run has come to its end,
            1 or 0; and, where the loss is scaled, the scale and the steps skipped before.
        """
        if self._guard is not None:
            self._guard.begin()
        self._optimizer.zero_grad(set_to_none=True)
        compiled = nullcontext() if self._compiled is None else self._compiled.in_use()
        with self._placing.computing(), compiled:
            loss = backward(
                self._method,
                views,
                labels,
                self._hardware,
                self._config.micro_batch_size,
                self._over_ranks,
                None if self.scale is None else self.scale.scale,
            )
        self._over_ranks.finish(loss)
        norm = _norm([each.grad for each in self._parameters if each.grad is not None])
        divisor = None if self.scale is None else self.scale.scale.clone()
        if divisor is not None:
            norm = norm / divisor
        if self._config.clip_norm is not None:
            over = (norm.float() / self._config.clip_norm).clamp(min=1)
            divisor = over if divisor is None else divisor * over
        if divisor is not None:
            divide_gradients(self._optimizer, self._parameters, divisor)
        return self._figures(loss.float(), norm.float())

    def _figures(self, loss: Tensor, norm: Tensor) -> Float[Tensor, " figures"]:
        """What is read of a step, and told to the guard."""
        sound = (loss + norm).isfinite()
        ended = ~sound
        if self._guard is not None:
            self._guard.see(sound)
            ended = self._guard.ended
        figures = torch.stack([loss, norm, ended.float()])
        return figures if self.scale is None else torch.cat([figures, self.scale.figures])

    def take(
        self,
        step: int,
        total_steps: int,
        rate: float,
        first_view: Tensor,
        labels: Tensor | None,
    ) -> None:
        """Move the weights, and all that follows them.

        Args:
            step: Steps taken before.
            total_steps: Of the run.
            rate: The learning rate.
            first_view: Of the batch; the probe learns from it.
            labels: Of the batch.
        """
        set_learning_rate(self._optimizer, rate)
        self._optimizer.step()
        self._method.after_step(step / total_steps)
        if self._average is not None:
            self._average.after_step(step)
        if self._probe is not None and labels is not None:
            learn_beside(self._probe, self._method, first_view, labels, self._hardware)
        if self._guard is not None:
            self._guard.end()


def _norm(gradients: list[Tensor]) -> Float[Tensor, ""]:
    """Of all gradients together; of those that are shared out over all ranks."""
    shared = [each for each in gradients if is_shared_out(each)]
    if not shared:
        return get_total_norm(gradients)
    whole = get_total_norm([each for each in gradients if not is_shared_out(each)])
    together = get_total_norm(shared).full_tensor()  # type: ignore[operator]
    return torch.hypot(whole.to(together), together)


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters of an optimiser, in its own order."""
    return [each for group in optimizer.param_groups for each in group["params"]]


def backward(
    method: Method,
    views: Sequence[Tensor],
    labels: Tensor | None,
    hardware: Hardware,
    micro_batch_size: int | None,
    average: StepAverage,
    scale: Float[Tensor, ""] | None = None,
) -> Float[Tensor, ""]:
    """Add the gradients of one batch to the parameters'; the loss, without a graph.

    Args:
        average: Over ranks, while the last backward pass runs.
        scale: What gradients are multiplied by; left out, 1.
    """
    if hardware.channels_last and views[0].ndim == 4:
        views = [
            view.contiguous(memory_format=torch.channels_last) if view.ndim == 4 else view
            for view in views
        ]
    views = tuple(views)
    with hardware.autocast:
        if micro_batch_size is not None:
            return cached_gradients(
                method, views, labels, micro_batch_size, average.last_pass, scale
            )
        loss = method(views, labels)
    (start,) = average.last_pass(loss if scale is None else loss * scale)
    start.backward()
    return loss.detach()


def step_without_effect(
    method: Method,
    views: MakeViews,
    images: Tensor,
    labels: Tensor | None,
    indices: Tensor,
    hardware: Hardware,
    config: TrainingSpec,
    beside: Tensor | None = None,
) -> Work:
    """What a step computes, on a copy of the method and with draws of its own."""
    copied = copy.deepcopy(method)
    alone = StepAverage(copied, (), Ranks())
    generator = torch.Generator(images.device).manual_seed(0)

    def work() -> None:
        with OwnDraws(0, images.device):
            drawn = views_of_batch(views, images, labels, generator, config.false_positives, beside)
            drawn += copied.belonging(indices)
            backward(copied, drawn, labels, hardware, config.micro_batch_size, alone)

    return work
