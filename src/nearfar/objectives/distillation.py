"""What a teacher finds alike, a student is to find alike: similarities to a queue, matched."""

import torch
from jaxtyping import Float
from torch import Tensor

from nearfar.objectives.checks import (
    require_a_row,
    require_pairs,
    require_positive,
    require_rows,
)
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.one_core import rows_on_one_core

_ROWS = 128
"""Rows of the teacher whose similarities are held at a time."""


@rows_on_one_core
def similarity_distillation(
    student: Float[Tensor, "batch dim"],
    teacher: Float[Tensor, "batch dim"],
    *,
    queue: Float[Tensor, "queued dim"] | None = None,
    temperature: float = 0.2,
    teacher_temperature: float = 0.01,
) -> Float[Tensor, ""]:
    """Cross-entropy of a teacher's and a student's similarities, SEED (Fang et al. 2021).

    With unit rows s of the student and z of the teacher, and as candidates d the example's own z
    and the queued ones,

        mean_i −Σ_j p_ij log q_ij,   p_i = softmax_j(z_i·d_j / T_t),   q_i = softmax_j(s_i·d_j / T)

    It is computed as `lse_j(s_i·d_j / T) − s_i·Σ_j p_ij d_j / T`. No gradient goes to the teacher,
    and memory grows with the rows of batch and queue.

    Args:
        student: Embeddings of the student; normalised here.
        teacher: The teacher's of the same examples; normalised here.
        queue: The teacher's of earlier examples. Without it the candidates are the rows of
            `teacher`, the own among them.
        temperature: T of the student, above 0.
        teacher_temperature: T_t, above 0; the lower, the more the nearest candidates count alone.

    Returns:
        In nats, at least the entropy of p: float64 for float64, else float32.

    Raises:
        NearfarError: The shapes differ, or there is no row.
        SettingError: A temperature is not above 0.

    Source:
        Fang et al. 2021, SEED: Self-supervised Distillation for Visual Representation,
        arXiv:2101.04731.
    """
    require_pairs(student, teacher)
    require_a_row(student, "similarity_distillation")
    require_positive("temperature", temperature)
    require_positive("teacher_temperature", teacher_temperature)
    if queue is not None:
        require_rows("queue", queue, student.shape[1])
        require_a_row(queue, "the teacher's softmax over a queue")
    with without_autocast(student):
        rows, own = unit_rows(student), unit_rows(teacher.detach())
        candidates = own if queue is None else unit_rows(queue.detach())
        expected = _expected_candidates(
            own, candidates, teacher_temperature, own_too=queue is not None
        )
        sums = logsumexp(rows, candidates, scale=1 / temperature)
        if queue is not None:
            sums = torch.logaddexp(sums, (rows * own).sum(dim=1) / temperature)
        return (sums - (rows * expected).sum(dim=1) / temperature).mean()


@torch.no_grad()
def _expected_candidates(
    own: Float[Tensor, "batch dim"],
    candidates: Float[Tensor, "number dim"],
    temperature: float,
    *,
    own_too: bool,
) -> Float[Tensor, "batch dim"]:
    """`Σ_j p_ij d_j`, some rows at a time."""
    found = []
    for rows in own.split(_ROWS):
        logits = rows @ candidates.T / temperature
        if own_too:
            logits = torch.cat((logits, (rows * rows).sum(dim=1, keepdim=True) / temperature), 1)
        shares = logits.softmax(dim=1)
        mean = shares[:, : len(candidates)] @ candidates
        found.append(mean + shares[:, -1:] * rows if own_too else mean)
    return torch.cat(found)
