"""Settings that are valid or do not exist: what every spec of a run is made from. No torch here.

A spec says all about one thing: its settings with bounds and defaults, what it is, what it needs,
and what builds it. Where one of several is chosen, each is a `Choice`, told apart by its `name`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from importlib import import_module
from pathlib import Path
from typing import (
    Annotated,
    Any,
    ClassVar,
    TypeVar,
    dataclass_transform,
    get_type_hints,
)

from annotated_types import Ge, Gt, Le
from pydantic import BeforeValidator, ConfigDict, GetCoreSchemaHandler, ValidationError
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import CoreSchema, core_schema

from nearfar.bounds import check_number, refusal, told
from nearfar.errors import SettingError, told_at, unknown_name
from nearfar.plugins import imported, load_plugins, require_free

AnyNamed = TypeVar("AnyNamed", bound="Named")

# Validators are built when first used: of a hundred specs a command makes a few.
_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=False, defer_build=True)


def _refuse_in_our_words(cls: "type[Spec]") -> None:
    """Let the class's constructor raise `SettingError`, with the setting's full name."""
    checked = cls.__init__

    def construct(self: "Spec", *values: Any, **named: Any) -> None:
        names = [each.name for each in fields(cls) if each.init]
        placed = [each.name for each in fields(cls) if each.init and not each.kw_only]
        by_place = placed[: len(values)]
        if len(values) > len(placed) or any(name in named for name in by_place):
            raise TypeError(f"{cls.__name__} has {', '.join(names)}: each can be given once")
        named = dict(zip(by_place, values, strict=True)) | named
        for name, value in named.items():
            if name not in names:
                raise cls.no_such_setting(name, value)
            check_number(cls.room + name, value)
            if (nested := _nested_in(cls.__dataclass_fields__[name].type)) is not None:
                with told_at(nested.room, f"{cls.room}{name}."):
                    named[name] = as_spec(nested, value)
        if issubclass(cls, Choice):
            cls.check_name(named.get("name", cls.name))
        try:
            checked(self, **named)
        except ValidationError as error:
            raise refusal(cls.room, get_type_hints(cls, include_extras=True), error) from None
        finally:
            # pydantic puts its own in this place when it builds the validator, the first time.
            if cls.__init__ is not construct:
                cls.__init__ = construct

    cls.__init__ = construct


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Spec:
    """All settings of one thing, checked once: when it is made.

    A subclass declares its fields as a dataclass does. Bounds stand in the annotations (`Above0`,
    `Share`), and conditions over several fields in `check`. A field that is put before older ones
    is `field(default=…, kw_only=True)`, so that values without names mean what they meant. A spec
    cannot be changed; `dataclasses.replace` makes another, which is checked too.

    Attributes:
        room: What stands before a setting's name in messages and on the command line: "method.".
    """

    room: ClassVar[str] = ""
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        pydantic_dataclass(cls, frozen=True, config=_CONFIG)
        _refuse_in_our_words(cls)

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Conditions over several settings; a subclass says them.

        Raises:
            SettingError: Naming the settings, their values and what would do.
        """

    @classmethod
    def no_such_setting(cls, name: str, value: Any = None) -> SettingError:  # noqa: ARG003  choices do
        """The error for a setting that this spec does not have, with the nearest name.

        Args:
            name: Of the setting.
            value: What was asked for; None where a name alone was given.
        """
        names = [cls.room + each.name for each in fields(cls)]
        return unknown_name("setting", cls.room + name, names)


class Named(Spec):
    """A spec that is known by its name as soon as its class is defined.

    The base of a kind is `class ProtocolSpec(Named, noun="protocol")`; what is of the kind inherits
    from it and has a `name` that no other of the kind has.

    Attributes:
        noun: What a person calls it; given for the base alone.
        modules: Where those of ours are defined, in the order in which they are told; the base
            names those beside its own.
        choices: Those of the kind that are defined so far, by name; `known()` has all.
        target: "module:attribute" of what builds the thing; imported when it is built.
    """

    noun: ClassVar[str] = ""
    modules: ClassVar[tuple[str, ...]] = ()
    choices: ClassVar[dict[str, Any]]
    target: ClassVar[str] = ""

    def __init_subclass__(
        cls, noun: str = "", modules: tuple[str, ...] = (), **arguments: Any
    ) -> None:
        name = cls.__dict__.get("name")
        if name and not noun:
            require_free(cls.noun, name, cls, cls.choices.get(name))
        super().__init_subclass__(**arguments)
        if noun:
            cls.noun, cls.choices, cls.modules = noun, {}, (cls.__module__, *modules)
        elif name:
            cls.choices[name] = cls

    @classmethod
    def known(cls: "type[AnyNamed]") -> "dict[str, type[AnyNamed]]":
        """All of the kind by name, those of plug-ins last, whichever was imported first."""
        for module in cls.modules:
            import_module(module)
        load_plugins()
        place = {module: number for number, module in enumerate(cls.modules)}
        return dict(
            sorted(cls.choices.items(), key=lambda pair: place.get(pair[1].__module__, len(place)))
        )

    @classmethod
    def named(cls: "type[AnyNamed]", name: str) -> "type[AnyNamed]":
        """The one of a name.

        Raises:
            SettingError: There is none; the message names the nearest.
        """
        if name in cls.choices:
            return cls.choices[name]
        known = cls.known()
        if name not in known:
            raise unknown_name(cls.noun, name, known)
        return known[name]

    def build(self, *arguments: Any, **more: Any) -> Any:
        """What the spec describes: its target, called with the spec and what the run knows."""
        return imported(self.target)(self, *arguments, **more)


class Choice(Named):
    """A spec that is one of several, which its setting `name`, a literal, tells apart.

    Attributes:
        own: Settings that mean another thing in another choice, as a learning rate does: they are
            not kept where another is chosen in place of this one.
    """

    own: ClassVar[tuple[str, ...]] = ()

    name: str = ""

    @classmethod
    def check_name(cls, name: Any) -> None:
        """Refuse another choice's name where one of this class is made.

        Raises:
            SettingError: There is no such choice, or it has settings of its own.
        """
        if cls.named(str(name)) is not cls:
            raise SettingError(
                f"{cls.room}name is {name}: it cannot be set among the settings of {cls.name}: "
                f"choose {name} in its place"
            )

    @classmethod
    def no_such_setting(cls, name: str, value: Any = None) -> SettingError:
        """The error for a setting that this choice does not have: whose it is, or the nearest."""
        owners = cls.owners(name)
        if not owners:
            return super().no_such_setting(name, value)
        *most, last = owners
        whose = f"{', '.join(most) + ' and ' if most else ''}{last}"
        is_it = "" if value is None else f" is {told(value)}"
        return SettingError(
            f"{cls.room}{name}{is_it}: {cls.name} has no such setting, it belongs to {whose}"
        )

    @classmethod
    def owners(cls, name: str) -> list[str]:
        """The choices that have a setting of this name."""
        return [
            each for each, other in cls.known().items() if name in {f.name for f in fields(other)}
        ]


class _Made:
    """Lets a field of a spec be given as the spec, as a dictionary, or as a choice's name."""

    def __get_pydantic_core_schema__(self, kind: Any, _: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: as_spec(kind, value))


AnySpec = TypeVar("AnySpec", bound=Spec)
Nested = Annotated[AnySpec, _Made()]
"""A field that holds another spec: `method: Nested[MethodSpec]`."""

PathOrName = Annotated[
    str, BeforeValidator(lambda value: str(value) if isinstance(value, Path) else value)
]
"""A path, or a name that is told from paths by how it begins: `./timm/x` is no `timm/x`."""


def _nested_in(hint: Any) -> type[Spec] | None:
    """The class of the spec that a field of this type holds; None where it holds another thing."""
    made = any(isinstance(each, _Made) for each in getattr(hint, "__metadata__", ()))
    return hint.__origin__ if made else None


Above0 = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Share = Annotated[float, Ge(0), Le(1)]
Count = Annotated[int, Ge(1)]


def as_spec(kind: type[AnySpec], value: Any) -> AnySpec:
    """A spec from what may stand for it.

    Args:
        kind: Its class, or the base of its choices.
        value: The spec; or a dictionary of its settings; or the name of a choice.

    Raises:
        SettingError: A setting does not exist (the message names the nearest, or whose it is), or
            cannot be what it is.
    """
    if isinstance(value, kind):
        return value
    if issubclass(kind, Choice) and isinstance(value, str):
        value = {"name": value}
    if not isinstance(value, Mapping):
        where = kind.room.removesuffix(".") or "settings"
        raise SettingError(f"{where}: its settings must be an object, not {value!r}")
    if issubclass(kind, Choice) and "choices" in vars(kind):
        if "name" not in value:
            raise SettingError(
                f"{kind.room}name is missing: choose one of {', '.join(kind.known())}"
            )
        return kind.named(str(value["name"]))(**value)
    return kind(**value)


def to_json(spec: Spec) -> dict[str, Any]:
    """All settings as nested dictionaries of JSON's own types, every one named."""
    return {each.name: _plain(getattr(spec, each.name)) for each in fields(spec)}


def flat_settings(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names.

    Args:
        nested: Dictionaries in dictionaries.
        prefix: What every name begins with.
    """
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            flat |= flat_settings(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def settings_of(choice: Choice) -> dict[str, Any]:
    """All settings of a choice by name, its own name left out."""
    return {each.name: getattr(choice, each.name) for each in fields(choice) if each.name != "name"}


def changed_choice(current: Choice, name: str) -> Choice:
    """Another choice of the kind of one that is there; what both have and was set is kept.

    Args:
        current: What is chosen now.
        name: Of the other choice; that of the current one changes nothing.

    Raises:
        SettingError: There is none of this name.
    """
    if name == current.name:
        return current
    other = current.named(name)
    names = {each.name for each in fields(other)} - {"name", *current.own}
    kept = {key: value for key, value in set_apart(current).items() if key in names}
    try:
        return other(name=name, **kept)
    except SettingError:  # what served the one does not serve the other
        return other(name=name)


def set_apart(spec: Spec) -> dict[str, Any]:
    """The settings that are not their defaults."""
    return {
        each.name: getattr(spec, each.name)
        for each in fields(spec)
        if getattr(spec, each.name) != default_of(each)
    }


def default_of(setting: Any) -> Any:
    """The default of a dataclass's field; `MISSING` where it has none."""
    return setting.default if setting.default_factory is MISSING else setting.default_factory()


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return to_json(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
