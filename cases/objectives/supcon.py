"""SupCon, with the mean over positives outside and inside the logarithm."""

import math

from nearfar.objectives import supcon
from nearfar.testing import ObjectiveCase, labelled

from .loops import dot, log_sum_exp, mean, unit_rows


def slow_supcon(embeddings, labels, temperature, kind):
    rows, labels = unit_rows(embeddings), labels.tolist()
    losses = []
    for i, anchor in enumerate(rows):
        candidates = [j for j in range(len(rows)) if j != i]
        positives = [j for j in candidates if labels[j] == labels[i]]
        if not positives:
            continue
        similarity = {j: dot(anchor, rows[j]) / temperature for j in candidates}
        whole = log_sum_exp(list(similarity.values()))
        logs = [similarity[p] - whole for p in positives]
        if kind == "out":
            losses.append(-mean(logs))
        else:
            losses.append(math.log(len(positives)) - log_sum_exp(logs))
    return mean(losses)


CASES = [
    ObjectiveCase(
        name,
        supcon,
        slow_supcon,
        labelled,
        settings={"temperature": 0.3, "kind": kind},
        sharp={"temperature": 0.01, "kind": kind},
        rotated=(0,),
        scaled=(0,),
        too_small="two rows of one label, and all 1 labels",
    )
    for name, kind in (("supcon", "out"), ("supcon in", "in"))
]
