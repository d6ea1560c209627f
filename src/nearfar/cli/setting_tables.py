"""Settings as a person reads them: those of a choice, with bounds, and those that were changed."""

from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from nearfar.bounds import allowed
from nearfar.cli.docstrings import setting_texts
from nearfar.cli.listing import Grid
from nearfar.spec import Choice, Spec, default_of


def options(settings: Any, prefix: str = "--") -> dict[str, Any]:
    """Every setting that differs from its default, by the option that gives it.

    Args:
        settings: A dataclass, of which fields may hold others; of choices the name always stands.
        prefix: What stands before the names.
    """
    told = {}
    for each in fields(settings):
        value, option = getattr(settings, each.name), prefix + each.name.replace("_", "-")
        if isinstance(value, Choice):
            told[option] = value.name
        if is_dataclass(value):
            told |= options(value, f"{option}.")
        elif value != default_of(each) and not (
            each.name == "name" and isinstance(settings, Choice)
        ):
            told[option] = value
    return told


def as_typed(value: Any) -> str:
    """A setting as it is typed: "0.3 1.0"."""
    if isinstance(value, tuple):
        return " ".join(map(as_typed, value))
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting_facts(kind: type[Spec]) -> list[dict[str, Any]]:
    """Every setting of a spec: name, default, what it may be, and what it does.

    Those of a spec in it that is no choice stand behind its name: "second_adapt.freeze".
    """
    hints, texts, told = get_type_hints(kind, include_extras=True), setting_texts(kind), []
    for each in fields(kind):
        if each.name != "name":
            default = default_of(each)
            if isinstance(default, Spec) and not isinstance(default, Choice):
                inner = setting_facts(type(default))
                told += [one | {"name": f"{each.name}.{one['name']}"} for one in inner]
                continue
            may_be = allowed(hints[each.name])
            if isinstance(default, Choice):
                default, may_be = default.name, " or ".join(default.known())
            about = {"name": each.name, "default": default, "allowed": may_be}
            told.append({**about, "help": texts.get(each.name, "")})
    return told


def settings_grid(kind: type[Spec], title: str) -> list[Grid]:
    """The same as a table, a spec in it in one line; none for a spec without settings."""
    texts, rows = setting_texts(kind), []
    for each in setting_facts(kind):
        name, _, within = each["name"].partition(".")
        option, may_be = name.replace("_", "-"), each["allowed"]
        row = option, as_typed(each["default"]), may_be if len(may_be) < 26 else "", each["help"]
        if within:
            row = f"{option}.NAME", "", "", texts.get(name, "")
        if row not in rows:
            rows.append(row)
    return [Grid(("setting", "default", "may be", ""), rows, title=title)] if rows else []
