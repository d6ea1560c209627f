"""One run: a critic learns on fresh samples, and every few steps bounds are read from it."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from nearfar.estimators.donsker_varadhan import updated_log_moving_average
from nearfar.estimators.scores import ScoreMatrix, Scores
from nearfar.estimators.specs import critic_bounds
from nearfar.information.critics import (
    JointCritic,
    Perceptron,
    SeparableCritic,
    Standardised,
    build_critic,
)
from nearfar.information.specs import CriticSpec
from papers.bounds_bench.tasks import TASKS

READ_EVERY = 4
"""Steps from one reading to the next."""
_MOVING_AVERAGE_RATE = 0.01
_FIRST_LOOK = 4096
"""Samples that the columns are standardised by."""

BOUNDS = critic_bounds()
TRAINED_AS = {name: "jensen_shannon" if name == "smile" else name for name in BOUNDS}
"""The bound whose objective trains the critic of each: SMILE is another reading of one."""


@dataclass(frozen=True)
class Run:
    """Everything that decides what a run measures.

    Attributes:
        task: One of `TASKS`.
        objective: The bound whose objective trains the critic.
        seed: Of first weights and samples; all bounds see the same samples.
        critic: Kind and sizes.
        steps: At each level of the task.
        batch_size: N.
        learning_rate: Of Adam.
    """

    task: str
    objective: str
    seed: int
    critic: CriticSpec = field(default=CriticSpec())
    steps: int = 4000
    batch_size: int = 64
    learning_rate: float = 5e-4

    @property
    def readings(self) -> tuple[str, ...]:
        """The bounds that are read from its critic."""
        return tuple(name for name, trained in TRAINED_AS.items() if trained == self.objective)

    @property
    def all_steps(self) -> int:
        """Steps of all levels."""
        return self.steps * len(TASKS[self.task].levels)


def measure(run: Run, tell: Callable[[int], None]) -> np.ndarray:
    """Trains, and reads each bound on every fourth batch before the critic learns from it.

    No sample is seen twice, so a reading is never of samples learned from. A step whose objective
    is not finite is not learned from.

    Args:
        run: What to do.
        tell: Called at each reading with the steps done.

    Returns:
        Nats, `(all readings, bounds read)`, float32.
    """
    task, bound = TASKS[run.task], BOUNDS[run.objective]
    generator = torch.Generator().manual_seed(run.seed)

    def drawn(information: float, count: int) -> tuple[Tensor, Tensor]:
        x, y = task.sample(information, count, generator)
        return x.float(), y.float()

    first_x, first_y = drawn(task.levels[0], _FIRST_LOOK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        of_y = Standardised(first_y)
        critic = build_critic(run.critic, Standardised(first_x), of_y)
        baseline = Perceptron(of_y, run.critic, 1) if bound.needs_baseline else None
    learned = nn.ModuleList([critic] if baseline is None else [critic, baseline])
    optimizer = torch.optim.Adam(learned.parameters(), lr=run.learning_rate, fused=True)
    average, found = None, []
    for step in range(run.all_steps):
        x, y = drawn(task.levels[step // run.steps], run.batch_size)
        scores = scores_of(critic, x, y)
        log_baseline = None if baseline is None else baseline(y).squeeze(-1)
        if step % READ_EVERY == 0:
            with torch.no_grad():
                found.append(
                    [float(BOUNDS[name].estimate(scores, log_baseline)) for name in run.readings]
                )
            tell(step)
        if bound.needs_moving_average:
            average = updated_log_moving_average(average, scores, _MOVING_AVERAGE_RATE)
        objective = bound.objective(scores, log_baseline, average)
        if objective.isfinite():
            optimizer.zero_grad()
            (-objective).backward()
            optimizer.step()
    return np.array(found, dtype=np.float32)


def scores_of(critic: SeparableCritic | JointCritic, x: Tensor, y: Tensor) -> Scores:
    """The critic's scores, all held: with as few pairs as here that takes a third less time."""
    if isinstance(critic, SeparableCritic):
        return ScoreMatrix(critic.of_x(x) @ critic.of_z(y).T)
    return critic(x, y)
