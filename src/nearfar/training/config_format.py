"""The form of a run's `config.json`, and how runs of the form before are read.

Format 1, which no number names, has all settings of a method's objective flat beside it, and those
of an evaluation's protocols side by side.
"""

from collections.abc import Mapping
from typing import Any

from nearfar.data.earlier_settings import in_current_form as data_in_current_form
from nearfar.encoders.specs import in_current_form as encoder_in_current_form
from nearfar.errors import NearfarError, SettingError
from nearfar.run_folder.folder import CONFIG_FORMAT as FORMAT
from nearfar.run_folder.folder import RunFolder
from nearfar.training.specs import in_current_form as training_in_current_form
from nearfar.views.specs import in_current_form as views_in_current_form

_OF_SIMCLR = ("name", "projection_hidden", "projection_dim")
"""What was, and is, the method's own; the other settings of format 1 are its objective's."""


def read_config(run: RunFolder) -> dict[str, Any]:
    """A run's `config.json` in today's form, whatever form it was written in."""
    return in_current_format(run.read_config())


def refuse_earlier_format(run: RunFolder) -> None:
    """Refuse to go on with a run of an earlier form: its checkpoints name other settings."""
    if format_of(run.read_config()) != FORMAT:
        raise NearfarError(
            f"{run} was begun by an earlier nearfar, and this one cannot go on with it: judge it "
            "by `nearfar evaluate`, show it by `nearfar report`, or start a new run"
        )


def format_of(config: Mapping[str, Any]) -> int:
    """The number of a config's form."""
    return config.get("format", 1)


def in_current_format(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a config as they are written now, without the number.

    Args:
        config: Of this format, or of format 1.

    Raises:
        SettingError: It is of a format that this version does not know.
    """
    if format_of(config) not in (1, FORMAT):
        raise SettingError(
            f"config.json has format {format_of(config)}, and this version reads up to {FORMAT}: a "
            "newer nearfar wrote it: install that"
        )
    values = {key: value for key, value in config.items() if key != "format"}
    if format_of(config) == FORMAT:
        return values
    rooms = {
        "data": data_in_current_form,
        "training": training_in_current_form,
        "views": views_in_current_form,
        "encoder": encoder_in_current_form,
        "method": _method_of_format_1,
        "evaluation": _evaluation_of_format_1,
    }
    # What is no object is refused by whoever reads the settings.
    given = {room: read for room, read in rooms.items() if isinstance(values.get(room), dict)}
    return values | {room: read(values[room]) for room, read in given.items()}


def _method_of_format_1(method: Mapping[str, Any]) -> dict[str, Any]:
    """A method's settings with those of SimCLR's objective in a place of their own."""
    if method.get("name", "simclr") != "simclr":
        return dict(method)
    name = method.get("objective", "nt_xent")
    of_objective = {
        key: value
        for key, value in method.items()
        if key not in (*_OF_SIMCLR, "objective") and value is not None
    }
    if of_objective.get("drop_false_negatives") == "no":  # every objective named it
        del of_objective["drop_false_negatives"]
    own = {key: method[key] for key in _OF_SIMCLR if key in method}
    return {"name": "simclr", **own, "objective": {"name": name, **of_objective}}


def _evaluation_of_format_1(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """An evaluation's settings with those of each protocol in a place of their own."""
    moved = {
        "knn": ("knn", "votes"),
        "labels_per_class": ("few_labels", "labels_per_class"),
        "draws": ("few_labels", "draws"),
    }
    current: dict[str, Any] = {}
    for key, value in evaluation.items():
        protocol, setting = moved.get(key, ("", key))
        place = current.setdefault(protocol, {}) if protocol else current
        place[setting] = value
    return current
