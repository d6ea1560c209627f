"""Settings, environment and command of a run as text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def setting_groups(nested: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Nested settings as named groups of pairs, single ones first; what is unset is left out."""
    inner = {key: value for key, value in nested.items() if isinstance(value, dict)}
    single = {key: value for key, value in nested.items() if key not in inner}
    return [
        (name, [(key, setting_text(value)) for key, value in group.items() if value is not None])
        for name, group in {"": single, **inner}.items()
        if any(value is not None for value in group.values())
    ]


def setting_text(value: Any) -> str:
    """A setting as a person would write it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        texts = [f"({setting_text(v)})" if isinstance(v, list) else setting_text(v) for v in value]
        return ", ".join(texts) or "none"
    if isinstance(value, dict) and "name" in value:
        inner = {key: each for key, each in value.items() if key != "name" and each is not None}
        return str(value["name"]) + (f" ({setting_text(inner)})" if inner else "")
    if isinstance(value, dict):
        between = "; " if any(isinstance(inner, list) for inner in value.values()) else ", "
        words = (f"{key.replace('_', ' ')} {setting_text(each)}" for key, each in value.items())
        return between.join(words)
    return str(value)


def typed_command(environment: Mapping[str, Any]) -> str | None:
    """The run's command as one types it: the program by its name, not by its path."""
    command = environment.get("command")
    if not command:
        return None
    if command[0] in "'\"":  # a path with spaces
        return command
    program, _, rest = command.partition(" ")
    name = Path(program).name
    return f"{'python -m nearfar' if name == '__main__.py' else name} {rest}".strip()
