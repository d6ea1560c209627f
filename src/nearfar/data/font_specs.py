"""Characters drawn from fonts: the settings of that source. Imports no torch."""

import string
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from nearfar.data.source_spec import FilesSpec, HeldOut, held_out_count
from nearfar.errors import SettingError
from nearfar.paths import user_cache

_CHARACTERS = {
    10: string.digits,
    26: string.ascii_uppercase,
    62: string.digits + string.ascii_uppercase + string.ascii_lowercase,
    94: "".join(map(chr, range(33, 127))),
}
"""What fonts draw, by the number of classes: 94 is all of ASCII that shows."""


class FontsSpec(FilesSpec):
    """The characters of a folder of fonts, drawn."""

    target, root_needed = "nearfar.data.fonts:load_fonts", False
    summary = "characters of any folder of font files, drawn in random colours on random grounds"
    size = "data.image_size (32), RGB"
    licence = "each font's own; those that `make fonts` collects are free by Debian's guidelines"
    name: Literal["fonts"] = "fonts"
    characters: Literal[10, 26, 62, 94] = 62
    """Classes: digits (10), capitals (26), digits and letters (62), all printed ASCII (94)."""
    image_size: Annotated[int, Ge(8), Le(256)] = 32
    """Side of the images in pixels."""
    examples: Annotated[int, Ge(20), Le(500_000)] = 25_000
    """Images that are drawn, of both parts."""
    test_fraction: HeldOut = 0.2
    """Share of the families of fonts, and of the images, that are for test alone."""
    grounds: Literal["plain", "textured"] = "textured"
    """What lies behind: one colour, or also shades, stripes and blotches of two."""
    only: str | None = None
    """Some of these characters, as AEMS: they alone are drawn, by the faces that have all."""

    def check(self) -> None:
        """What is drawn of the characters is two or more of them, each once."""
        super().check()
        if self.only is None:
            return
        for character in self.only:
            if character not in self.all_characters:
                raise SettingError(
                    f"data.only has {character!r}, which is none of the {self.characters} "
                    f"characters: choose from {self.all_characters}, or another "
                    "--data.characters"
                )
        if len(self.only) < 2 or len(set(self.only)) < len(self.only):
            raise SettingError(
                f"data.only is {self.only!r}: name two characters or more, and each once"
            )

    @property
    def all_characters(self) -> str:
        """What a face must have to be used."""
        return _CHARACTERS[self.characters]

    @property
    def drawn(self) -> str:
        """The characters that are drawn; each is a class."""
        return self.all_characters if self.only is None else self.only

    @property
    def folder(self) -> Path:
        """The fonts: `root`, else where `make fonts` puts them."""
        return user_cache() / "fonts" if self.root is None else self.root.expanduser()

    def require_root(self) -> None:
        """Refuse a folder that is missing."""
        super().require_root()
        if self.root is None and not self.folder.is_dir():
            raise SettingError(
                f"fonts needs a folder of font files: there is no {self.folder}; `make fonts` "
                "fills it from Debian's packages, or name another with --data.root (such as "
                "/usr/share/fonts)"
            )

    def most_to_learn_from(self) -> int:
        """What is drawn and neither for test nor held out."""
        train = self.examples - round(self.examples * self.test_fraction)
        return train - held_out_count(train, self.held_out)
