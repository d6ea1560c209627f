"""What of an evaluation's settings can be refused at once. Imports nothing heavy."""

from nearfar.errors import SettingError
from nearfar.evaluation.config import EvaluationConfig


def check_evaluation(config: EvaluationConfig) -> None:
    """Refuse impossible settings before anything is read or trained.

    Args:
        config: What is asked for.

    Raises:
        SettingError: Naming the setting.
    """
    if not config.knn:
        raise SettingError("evaluation.knn is empty: give at least one pair of k and temperature")
    for k, temperature in config.knn:
        if k < 1 or not temperature > 0:
            raise SettingError(
                f"evaluation.knn has k={k}, temperature={temperature}: k must be 1 or more and the"
                " temperature above 0"
            )
    if any(count < 1 for count in config.labels_per_class):
        raise SettingError("evaluation.labels_per_class must hold numbers of 1 or more")
    if config.draws < 1:
        raise SettingError(f"evaluation.draws is {config.draws}: it must be 1 or more")
    if config.seed < 0:
        raise SettingError(f"evaluation.seed is {config.seed}: it must be 0 or more")
