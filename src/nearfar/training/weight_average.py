"""An exponential moving average of the weights that are kept: encoder, head and classifier."""

from torch import Tensor, nn

from nearfar.methods.method import Method
from nearfar.methods.momentum import follow, frozen_copy


def lasting_parts(method: Method) -> nn.ModuleDict:
    """What of a method outlives its training, by name, where it has it.

    Args:
        method: Its modules are shared, not copied.
    """
    parts = {
        "encoder": method.encoder,
        "head": method.embedding_head,
        "classifier": getattr(method, "classifier", None),
    }
    tower = method.second_tower
    if tower is not None:
        parts |= {"second_encoder": tower.encoder, "second_head": tower.head}
    return nn.ModuleDict({name: part for name, part in parts.items() if part})


class WeightAverage:
    """An average over the steps of what outlives the training (Polyak & Juditsky 1992).

    After step k, from 0, every parameter becomes `m·average + (1 − m)·weight` with
    `m = min(decay, (1 + k) / (10 + k))`: the first weights, which are random, are soon forgotten.
    Buffers of floats, batch-norm's statistics among them, move likewise; others are copied. Nothing
    is drawn and nothing else is state: m follows from the step alone.

    Args:
        method: Its encoder, its projection head and its classifier are averaged, where it has them.
        decay: 0 to below 1; 0 is the weights themselves.
    """

    def __init__(self, method: Method, decay: float) -> None:
        self._weights = lasting_parts(method)
        # In eval mode `follow` moves batch-norm's statistics too.
        self._average = frozen_copy(self._weights).eval()
        self._decay = decay

    @property
    def encoder(self) -> nn.Module:
        """The averaged encoder, in eval mode."""
        return self._average["encoder"]

    def after_step(self, step: int) -> None:
        """Move towards the weights after a step of the optimiser, counted from 0."""
        follow(self._average, self._weights, min(self._decay, (1 + step) / (10 + step)))

    def state_dict(self) -> dict[str, Tensor]:
        """The averages by name."""
        return self._average.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put the averages back as they were."""
        self._average.load_state_dict(state)

    def put_in_place(self) -> None:
        """Give the method the averages in place of its weights, when training is over."""
        self._weights.load_state_dict(self._average.state_dict())
