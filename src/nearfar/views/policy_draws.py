"""The random choices of policies and of Cutout: which operations each image passes, and where."""

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from nearfar.views.parameters import MOST_OPERATIONS, ViewParameters
from nearfar.views.policies import (
    AUTOAUGMENT,
    HIGHEST_LEVEL,
    RANDAUGMENT,
    Operation,
    step_magnitude,
    steps_of,
)

# Columns of the table of uniform numbers, as in `draws`: no choice reads another's column.
_HOLE = slice(0, 2)
_CHOICE = slice(2, 2 + MOST_OPERATIONS)
_APPLIED = slice(2 + MOST_OPERATIONS, 2 + 2 * MOST_OPERATIONS)
_SIGN = slice(2 + 2 * MOST_OPERATIONS, 2 + 3 * MOST_OPERATIONS)
_COLUMNS = 2 + 3 * MOST_OPERATIONS

PolicyDraws = tuple[
    Int64[Tensor, "batch steps"], Float32[Tensor, "batch steps"], Int64[Tensor, "batch 2"]
]
"""Operations, their magnitudes, and the middle of Cutout's square."""


def draw_policy(
    parameters: ViewParameters, count: int, channels: int, generator: torch.Generator
) -> PolicyDraws:
    """Choose each image's operations and where its square lies.

    Without a policy and without Cutout nothing is drawn, and the generator stays where it is.

    Args:
        parameters: The policy, and the side of the view.
        count: Number of images.
        channels: Of the images; without three of them there is no colour, and Color does nothing.
        generator: The only source of randomness.
    """
    steps = steps_of(parameters.policy, parameters.policy_operations)
    if not steps and not parameters.cutout:
        nothing = torch.zeros(count, 0, device=generator.device)
        return nothing.long(), nothing, nothing.new_zeros(count, 2).long()
    uniform = torch.rand(count, _COLUMNS, generator=generator, device=generator.device)
    hole = (uniform[:, _HOLE] * parameters.size).long()
    choice, applied, positive = (uniform[:, each][:, :steps] for each in (_CHOICE, _APPLIED, _SIGN))
    if parameters.policy == "randaugment":
        operations, magnitudes = _of_randaugment(parameters, choice)
    elif steps:
        operations, magnitudes = _of_autoaugment(parameters, choice[:, 0], applied)
    else:
        operations, magnitudes = choice.long(), choice
    if channels != 3:
        operations = operations.masked_fill(operations == Operation.COLOR, Operation.IDENTITY)
    signed = torch.tensor([each.signed for each in Operation], device=uniform.device)[operations]
    return operations, torch.where(signed & (positive < 0.5), -magnitudes, magnitudes), hole


def _of_randaugment(parameters: ViewParameters, choice: Tensor) -> tuple[Tensor, Tensor]:
    """Operations at random, with repetition, all at one level."""
    chosen = (choice * len(RANDAUGMENT)).long()
    magnitudes = [
        each.magnitude(parameters.policy_magnitude, HIGHEST_LEVEL, parameters.size)
        for each in RANDAUGMENT
    ]
    kinds = torch.tensor(RANDAUGMENT, device=choice.device)
    return kinds[chosen], torch.tensor(magnitudes, device=choice.device)[chosen]


def _of_autoaugment(
    parameters: ViewParameters, choice: Tensor, applied: Tensor
) -> tuple[Tensor, Tensor]:
    """Both operations of a sub-policy at random, each with its own probability."""
    table = AUTOAUGMENT[parameters.policy]
    chosen = (choice * len(table)).long()
    kinds, chances = (
        torch.tensor([[step[part] for step in each] for each in table], device=choice.device)
        for part in (0, 1)
    )
    magnitudes = [[step_magnitude(step, parameters.size) for step in each] for each in table]
    happens = applied < chances[chosen]
    operations = torch.where(happens, kinds[chosen], int(Operation.IDENTITY))
    return operations, torch.tensor(magnitudes, device=choice.device)[chosen]
