"""Distillation by similarities."""

import torch

from nearfar.objectives import similarity_distillation
from nearfar.testing import ObjectiveCase, views, views_and

from .loops import dot, log_sum_exp, mean, unit_rows

T, TEACHERS = "temperature", "teacher_temperature"


def slow_similarity_distillation(student, teacher, queue=None, *, temperature, teacher_temperature):
    rows, own = unit_rows(student), unit_rows(teacher)
    queued = None if queue is None else unit_rows(queue)
    losses = []
    for row, target in zip(rows, own, strict=True):
        candidates = own if queued is None else [*queued, target]
        theirs = [dot(target, each) / teacher_temperature for each in candidates]
        ours = [dot(row, each) / temperature for each in candidates]
        of_all, of_ours = log_sum_exp(theirs), log_sum_exp(ours)
        losses.append(
            sum(
                2.718281828459045 ** (their - of_all) * (of_ours - our)
                for their, our in zip(theirs, ours, strict=True)
            )
        )
    return mean(losses)


def with_queue(student, teacher, queue, **settings):
    return similarity_distillation(student, teacher, queue=queue, **settings)


CASES = [
    ObjectiveCase(
        "similarity_distillation",
        similarity_distillation,
        slow_similarity_distillation,
        views(2),
        settings={T: 0.2, TEACHERS: 0.1},
        sharp={T: 0.01, TEACHERS: 0.1},
        constant=(1,),
        rotated=(0, 1),
        scaled=(0, 1),
        smallest_batch=1,
        too_small="needs one or more, not 0",
    ),
    ObjectiveCase(
        "similarity_distillation with a queue",
        with_queue,
        slow_similarity_distillation,
        views_and((7,)),
        settings={T: 0.2, TEACHERS: 0.1},
        sharp={T: 0.01, TEACHERS: 0.1},
        common=(2,),
        constant=(1, 2),
        rotated=(0, 1, 2),
        scaled=(0, 1, 2),
        smallest_batch=1,
        too_small="needs one or more, not 0",
        refused=(((torch.ones(2, 3), torch.ones(2, 3), torch.ones(0, 3)), "one or more, not 0"),),
    ),
]
