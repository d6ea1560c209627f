"""Names and positions of other programs' checkpoints, brought to a timm model's as timm does it."""

import sys
from collections.abc import Mapping

from torch import Tensor, nn


def in_names_of(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state as timm's own loading would bring it to a model, before channels are adapted.

    timm keeps, beside many of its models, a `checkpoint_filter_fn` that renames the tensors of the
    authors' files and resamples positions to the model's grid. Where there is none, or it does not
    know such a file, the state is given back.

    Args:
        model: One of timm's; of others the state stays as it is.
        state: Weights by name.
    """
    module = sys.modules.get(type(model).__module__)
    adapt = getattr(module, "checkpoint_filter_fn", None)
    if adapt is None or not type(model).__module__.startswith("timm."):
        return dict(state)
    try:
        adapted = adapt(dict(state), model)
    except Exception:  # a foreign file: whatever a filter trips over
        return dict(state)
    return {name: value for name, value in adapted.items() if isinstance(value, Tensor)}
