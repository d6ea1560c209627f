"""A sweep's search, as its journal holds it: trials that are begun, pruned, finished or failed.

Every change is one line of the journal, made under the sweep's lock, so that a process may be
killed between any two: whoever comes next finds what was begun and what is known of it.
"""

from typing import Any

from nearfar.sweeps.journal import open_journal, optuna
from nearfar.sweeps.proposing import distributions, next_point, pruner
from nearfar.sweeps.study import Study
from nearfar.sweeps.sweep_folder import SweepFolder
from nearfar.sweeps.trials import Trial, TrialState

_STATES: dict[Any, TrialState] = {
    optuna.trial.TrialState.RUNNING: "running",
    optuna.trial.TrialState.COMPLETE: "finished",
    optuna.trial.TrialState.PRUNED: "pruned",
    optuna.trial.TrialState.FAIL: "failed",
}


class Search:
    """The search of one sweep.

    Args:
        folder: Of the sweep.
        study: What it does.
    """

    def __init__(self, folder: SweepFolder, study: Study) -> None:
        self.folder, self.study = folder, study
        self._journal = open_journal(folder)

    def trials(self) -> list[Trial]:
        """All trials that have begun, in order."""
        return [_trial(frozen) for frozen in self._frozen()]

    def trial(self, number: int) -> Trial:
        """One of them."""
        return self.trials()[number]

    def begin(self) -> bool:
        """Begin the next trial, if there is one yet to be begun.

        Returns:
            Whether one was begun.
        """
        with self.folder.locked():
            trials, most = self._frozen(), self.study.planned
            point = None
            if most is None or len(trials) < most:
                point = next_point(self.study, trials)
            if point is None:
                return False
            # One line of the journal, with all that there is to say of it.
            self._journal.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState.RUNNING,
                    params=point,
                    distributions=distributions(self.study),
                )
            )
            return True

    def report(self, number: int, epoch: int, check: float) -> bool:
        """Take down a check of a trial's first seed, and end the trial where it is behind.

        A run that was killed and makes the check again is told the same.

        Returns:
            Whether the trial is ended.
        """
        with self.folder.locked():
            frozen = self._frozen()[number]
            if frozen.state.is_finished():
                return True
            if epoch not in frozen.intermediate_values:
                self._storage.set_trial_intermediate_value(frozen._trial_id, epoch, check)
            frozen = self._frozen()[number]
            ends = pruner(self.study, self.study.recipe.training.epochs)
            if not ends.prune(self._journal, frozen):
                return False
            self._journal.tell(number, state=optuna.trial.TrialState.PRUNED)
            return True

    def finish_run(self, number: int, seed: int, check: float, seconds: float) -> None:
        """Take down what a run came to; with the last of its seeds the trial is finished."""
        with self.folder.locked():
            frozen = self._frozen()[number]
            if frozen.state.is_finished():
                return
            self._set(frozen, f"seconds {seed}", seconds)
            self._set(frozen, f"check {seed}", check)
            self._finish_if_whole(self._frozen()[number])

    def settle(self) -> None:
        """Finish trials of which a process took down the last run, and was killed before it did."""
        with self.folder.locked():
            for frozen in self._frozen():
                self._finish_if_whole(frozen)

    def fail(self, number: int, seed: int, told: str) -> None:
        """Say that a trial cannot be finished, and why."""
        with self.folder.locked():
            frozen = self._frozen()[number]
            if not frozen.state.is_finished():
                self._set(frozen, "failed", f"seed {seed}: {told}")
                self._journal.tell(number, state=optuna.trial.TrialState.FAIL)

    def _finish_if_whole(self, frozen: "optuna.trial.FrozenTrial") -> None:
        found = _by_seed(frozen, "check")
        if not frozen.state.is_finished() and set(found) == set(self.study.seeds):
            self._journal.tell(frozen.number, sum(found.values()) / len(found))

    @property
    def _storage(self) -> Any:
        return self._journal._storage

    def _frozen(self) -> "list[optuna.trial.FrozenTrial]":
        return self._journal.get_trials(deepcopy=False)

    def _set(self, frozen: "optuna.trial.FrozenTrial", name: str, value: Any) -> None:
        self._storage.set_trial_user_attr(frozen._trial_id, name, value)


def _trial(frozen: "optuna.trial.FrozenTrial") -> Trial:
    return Trial(
        number=frozen.number,
        state=_STATES[frozen.state],
        point=dict(frozen.params),
        checks=_by_seed(frozen, "check"),
        seconds=_by_seed(frozen, "seconds"),
        on_the_way=dict(sorted(frozen.intermediate_values.items())),
        told=frozen.user_attrs.get("failed", ""),
    )


def _by_seed(frozen: "optuna.trial.FrozenTrial", what: str) -> dict[int, float]:
    found = {}
    for name, value in frozen.user_attrs.items():
        kind, _, seed = name.partition(" ")
        if kind == what and seed.isdigit():
            found[int(seed)] = value
    return dict(sorted(found.items()))
