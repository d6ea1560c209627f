"""What of an evaluation's settings can be refused at once. Imports nothing heavy."""

from nearfar.bounds import check_numbers, check_range, check_seed
from nearfar.errors import SettingError, require_known
from nearfar.evaluation.config import PROTOCOLS, EvaluationConfig

_COLDEST, _WARMEST = 0.0001, 10_000  # e to a similarity over them is a number
_MOST_DRAWS = 10_000


def check_evaluation(config: EvaluationConfig) -> None:
    """Refuse impossible settings before anything is read or trained.

    Args:
        config: What is asked for.

    Raises:
        SettingError: Naming the setting.
    """
    check_numbers(config, "evaluation.")
    if not config.knn:
        raise SettingError(
            "evaluation.knn is empty: give at least one pair of k and temperature, or leave "
            "kNN out by --evaluation.leave-out knn"
        )
    for k, temperature in config.knn:
        if k < 1 or not 0 < temperature <= _WARMEST or temperature < _COLDEST:
            raise SettingError(
                f"evaluation.knn has k={k}, temperature={temperature}: k must be 1 or more and the"
                f" temperature above 0, from {_COLDEST} to {_WARMEST:,}"
            )
    if not config.labels_per_class:
        raise SettingError(
            "evaluation.labels_per_class is empty: give at least one number, or leave these probes "
            "out by --evaluation.leave-out few_labels"
        )
    if any(count < 1 for count in config.labels_per_class):
        raise SettingError("evaluation.labels_per_class must hold numbers of 1 or more")
    check_range("evaluation.draws", config.draws, 1, _MOST_DRAWS)
    check_seed("evaluation.seed", config.seed)
    require_known("protocol in evaluation.leave_out", config.leave_out, PROTOCOLS)
