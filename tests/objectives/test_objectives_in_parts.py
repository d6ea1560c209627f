"""Every objective of a batch embedded in parts (gradient caching): the whole batch's gradients."""

import pytest
import torch
from cases.objectives import CASES
from torch import nn

from nearfar.methods.method import Method
from nearfar.training.gradient_caching import cached_gradients

BATCH = 11


class Weighted(Method):
    """A case's inputs, each times a weight of its own; its common inputs belong to the loss."""

    def __init__(self, case):
        super().__init__()
        self.case = case
        self.inputs = case.inputs(BATCH, 4, 2)
        self.encoder = nn.ParameterDict()
        for i in case.differentiable(self.inputs):
            rows = self.inputs[i]
            weight = rows if i in case.common else rows[0]
            self.encoder[str(i)] = nn.Parameter(torch.ones_like(weight))

    def weighted(self, i, rows):
        return rows * self.encoder[str(i)] if str(i) in self.encoder else rows

    def embed(self, views):
        examples, _ = views
        return tuple(
            self.weighted(i, tensor[examples])
            for i, tensor in enumerate(self.inputs)
            if i not in self.case.common
        )

    def loss(self, embedded, labels=None):
        rows = iter(embedded)
        return self.case(
            *(
                self.weighted(i, tensor) if i in self.case.common else next(rows)
                for i, tensor in enumerate(self.inputs)
            )
        )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_parts_leave_the_gradients_of_the_whole_batch(case):
    examples = torch.arange(BATCH)
    in_parts, whole = Weighted(case), Weighted(case)
    loss = cached_gradients(in_parts, (examples, examples), None, 4)
    expected = whole((examples, examples))
    expected.backward()
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-10, atol=1e-10)
    for name, parameter in whole.named_parameters():
        found = in_parts.get_parameter(name).grad
        torch.testing.assert_close(found, parameter.grad, rtol=1e-10, atol=1e-10)
        assert parameter.grad.abs().max() > 0
