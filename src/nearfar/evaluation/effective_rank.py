"""The effective rank of features: how many directions they take."""

import torch

from nearfar.evaluation.geometry_specs import EffectiveRankSpec
from nearfar.evaluation.judged import Found, Judged
from nearfar.evaluation.records import Record
from nearfar.training.spectrum import effective_rank


def judge(spec: EffectiveRankSpec, judged: Judged) -> Found:
    """The rank of some training features, as they are and less their mean."""
    features = judged.train
    judged.say(f"effective rank: {judged.kind}")
    draws = torch.Generator().manual_seed(judged.seed)
    rows = features[torch.randperm(len(features), generator=draws)[: spec.examples]]
    return Found(
        [
            Record(
                "effective_rank",
                judged.kind,
                "rank",
                effective_rank(rows, centred=centred),
                len(rows),
                parameters={"centred": centred},
            )
            for centred in (False, True)
        ]
    )
