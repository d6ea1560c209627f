"""Which point a sweep tries next: a function of the study, the trials so far and the seed."""

from collections.abc import Sequence
from itertools import islice

import numpy as np

from nearfar.sweeps.axes import AxisSpec, RangeSpec, ValuesSpec
from nearfar.sweeps.engines import DrawingSpec, TPESpec
from nearfar.sweeps.journal import optuna
from nearfar.sweeps.study import Point, Study

_TRIES = 100
"""Draws until one is found that was not tried before; after them the space counts as empty."""


def distributions(study: Study) -> "dict[str, optuna.distributions.BaseDistribution]":
    """The axes as Optuna has them."""
    return {axis.setting: _distribution(axis) for axis in study.axes}


def next_point(study: Study, trials: "Sequence[optuna.trial.FrozenTrial]") -> Point | None:
    """The point of the trial after these; None where all have been tried.

    Args:
        study: What is gone over, and by which engine.
        trials: All that began; those that run count for TPE as bad ones, so that workers spread.
    """
    engine = study.engine
    if not isinstance(engine, DrawingSpec):
        return next(islice(study.grid(), len(trials), None), None)
    tried = [trial.params for trial in trials]
    for attempt in range(_TRIES):
        # By number, so that the same trials are drawn by any number of workers.
        seed = int(np.random.SeedSequence((engine.seed, len(trials), attempt)).generate_state(1)[0])
        sampler: optuna.samplers.BaseSampler = optuna.samplers.RandomSampler(seed)
        if isinstance(engine, TPESpec) and attempt == 0:
            sampler = optuna.samplers.TPESampler(
                n_startup_trials=engine.startup, constant_liar=True, seed=seed
            )
        point = _drawn(study, trials, sampler)
        if point not in tried:
            return point
    return None


def pruner(study: Study, epochs: int) -> "optuna.pruners.BasePruner":
    """What ends trials early, by steps that are epochs.

    Args:
        study: Its engine says which.
        epochs: Of the runs.
    """
    engine = study.engine
    if not isinstance(engine, DrawingSpec) or engine.prune == "no":
        return optuna.pruners.NopPruner()
    if engine.prune == "median":
        return optuna.pruners.MedianPruner(
            n_startup_trials=engine.prune_startup, n_warmup_steps=engine.prune_after
        )
    return optuna.pruners.SuccessiveHalvingPruner(
        min_resource=min(engine.prune_after, epochs), reduction_factor=engine.keep_one_in
    )


def _drawn(
    study: Study,
    trials: "Sequence[optuna.trial.FrozenTrial]",
    sampler: "optuna.samplers.BaseSampler",
) -> Point:
    """A point that a sampler gives after these trials; nothing is written."""
    beside = optuna.create_study(direction="maximize", sampler=sampler)
    beside.add_trials(trials)
    return dict(beside.ask(distributions(study)).params)


def _distribution(axis: AxisSpec) -> "optuna.distributions.BaseDistribution":
    if isinstance(axis, ValuesSpec):
        return optuna.distributions.CategoricalDistribution(axis.values)
    assert isinstance(axis, RangeSpec)
    if axis.whole:
        return optuna.distributions.IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.log)
