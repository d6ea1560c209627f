"""The font files under a folder that can draw given characters, by family."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image, ImageFont
from PIL.ImageFont import FreeTypeFont

from nearfar.data.folder_listing import list_all
from nearfar.data.folder_tree import FileKind, many
from nearfar.errors import NearfarError

Ink = UInt8[ndarray, "height width"]

DIGITS, CAPITALS, SMALL = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz"
_MARKS = (b"\0\1\0\0", b"OTTO", b"true", b"wOF2")
_SIZE = 32.0
"""Pixels an em at which faces are looked at."""
_WIDEST = 8
"""Ems: a glyph that is wider or higher is not drawn, for no letter is."""
_SIDE = 8
"""Side of the squares in which glyphs are compared: so few pixels that weight tells little."""
ILLEGIBLE = 0.73
"""Of the mean rank that chance gives: from here on a face's characters are none."""
ALIKE = 0.95
"""Mean cosine of two faces' glyphs from which on they are of one family, whatever their names."""
_CAPITALS_AGAIN = 0.5
"""Share of the small letters that are drawn as capitals, from which on a face has none."""


def _is_font(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) in _MARKS
    except OSError:
        return False


FONTS = FileKind(
    "font", "TTF, OTF, WOFF2", frozenset((".ttf", ".otf", ".woff2")), "images", _is_font
)
"""Which files are taken for fonts."""


@dataclass(frozen=True)
class Face:
    """One font file.

    Attributes:
        path: The file.
        family: As the file says.
        sha256: Of its content.
    """

    path: Path
    family: str
    sha256: str


@dataclass(frozen=True)
class Faces:
    """The faces of a folder.

    Attributes:
        families: Faces that are of one family or look as if they were; in an order that does not
            hang on where the files lie.
        notes: What was left out, and why.
    """

    families: tuple[tuple[Face, ...], ...]
    notes: tuple[str, ...]


def find_faces(root: Path, characters: str) -> Faces:
    """Look at every font file at any depth.

    Left out, with a count: files that are damaged; faces without a glyph for one of the characters;
    those whose digits and capitals are no nearer to a plain face's than chance has it, as symbols,
    ornaments and barcodes; those whose small letters are capitals again, where both are asked for.
    Families of other names that are drawn alike (a clone of a typeface, its condensed or its
    outlined cut) are joined.

    Args:
        root: The folder.
        characters: What every face must have.

    Raises:
        NearfarError: There is no font file, or fewer than two families can be used.
    """
    listing = list_all(root, FONTS)
    plain = _Plain()
    good: dict[str, tuple[Face, ndarray]] = {}
    left: Counter[str] = Counter()
    for path in listing.files:
        face = _look_at(path, characters, plain)
        if isinstance(face, str):
            left[face] += 1
        elif face[0].sha256 in good:
            left["there twice"] += 1
        else:
            good[face[0].sha256] = face
    families = _families(list(good.values()))
    notes = list(listing.notes)
    if left:
        why = ", ".join(f"{count} {reason}" for reason, count in sorted(left.items()))
        notes.append(f"left out {left.total()} of {many(len(listing.files), 'font')}: {why}")
    if len(families) < 2:
        raise NearfarError(
            f"{root}: {'one family' if families else 'no family'} of fonts with the "
            f"{len(characters)} characters; two are the least, for none may be in two parts"
            + (f" ({notes[-1]})" if left else "")
        )
    return Faces(families, tuple(notes))


def opened(content: Path, size: float) -> FreeTypeFont:
    """A font at a size in pixels an em, laid out glyph by glyph, as no other library may do it."""
    return ImageFont.truetype(str(content), size, layout_engine=ImageFont.Layout.BASIC)


def ink_of(font: FreeTypeFont, character: str) -> tuple[Ink, tuple[int, int]] | None:
    """The coverage of a character's pixels, and where its box begins from the start of the line.

    Returns:
        None where nothing is drawn, or more than any letter has.
    """
    left, top, right, bottom = font.getbbox(character, anchor="ls")
    widest = _WIDEST * font.size
    if not (0 < right - left <= widest and 0 < bottom - top <= widest):
        return None
    mask, (x, y) = font.getmask2(character, mode="L", anchor="ls")
    width, height = mask.size
    if not width * height:
        return None
    pixels = np.frombuffer(bytes(cast(Any, mask)), dtype=np.uint8).reshape(height, width)
    return (pixels, (x, y)) if pixels.any() else None


def _look_at(path: Path, characters: str, plain: "_Plain") -> tuple[Face, ndarray] | str:
    """A face and how its characters look, or why it is left out."""
    try:
        content = path.read_bytes()
        font = opened(path, _SIZE)
        # What a face draws where it has no glyph: often a box, at times nothing.
        missing = ink_of(font, "\uffff")
        inks = {each: ink_of(font, each) for each in sorted({*characters, *DIGITS, *CAPITALS})}
    except (OSError, ValueError, MemoryError):  # FreeType's own errors are OSErrors
        return "damaged"
    drawn = {
        each: ink[0]
        for each, ink in inks.items()
        if ink is not None and (missing is None or not np.array_equal(ink[0], missing[0]))
    }
    if not set(characters) <= drawn.keys():
        return f"without all {len(characters)} characters"
    looks = {each: _look(drawn[each]) for each in DIGITS + CAPITALS if each in drawn}
    if plain.rank(looks) >= ILLEGIBLE:
        return "with symbols or ornaments for characters"
    if set(SMALL) <= set(characters):
        again = sum(
            np.array_equal(drawn[small], drawn[capital])
            for small, capital in zip(SMALL, CAPITALS, strict=True)
        )
        if again >= _CAPITALS_AGAIN * len(SMALL):
            return "without small letters of their own"
    # A family's name may be any text: it is compared, and never printed.
    family = font.getname()[0] or path.stem
    alike = [each for each in DIGITS + CAPITALS if each in characters]
    look = np.concatenate([looks[each] for each in alike]) / np.sqrt(len(alike))
    return Face(path, family, hashlib.sha256(content).hexdigest()), look.astype(np.float32)


class _Plain:
    """The plain face inside Pillow: what characters look like."""

    def __init__(self) -> None:
        font = ImageFont.load_default(_SIZE)
        assert isinstance(font, FreeTypeFont), "Pillow without FreeType"
        self.known = DIGITS + CAPITALS
        inks = [ink_of(font, each) for each in self.known]
        self.looks = np.stack([_look(ink[0]) for ink in inks if ink is not None])

    def rank(self, looks: dict[str, ndarray]) -> float:
        """How many plain characters are as near as the own one, over what chance gives.

        Of digits or of capitals, whichever is worse: some faces have letters and arrows. A
        character that the face lacks counts for nothing.
        """
        ranks = []
        for group in (DIGITS, CAPITALS):
            have = [self.known.index(each) for each in group if each in looks]
            if have:
                near = np.stack([looks[self.known[place]] for place in have]) @ self.looks.T
                own = near[np.arange(len(have)), have]
                ranks.append((near >= own[:, None]).sum(axis=1).mean())
        return float(max(ranks)) / ((len(self.known) + 1) / 2)


def _look(ink: Ink) -> Float[ndarray, " pixels"]:
    """A character stretched to a small square, without its mean, of length 1."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    inside = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    look = np.asarray(inside.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float64).ravel()
    look = look - look.mean()
    length = np.linalg.norm(look)
    return look / length if length else look


def _families(found: Sequence[tuple[Face, ndarray]]) -> tuple[tuple[Face, ...], ...]:
    """Faces of one name, and those that are drawn alike, together."""
    found = sorted(found, key=lambda each: (each[0].family, each[0].sha256))
    if not found:
        return ()
    family = np.unique([face.family for face, _ in found], return_inverse=True)[1]
    looks = np.stack([look for _, look in found])
    for row in range(len(found)):  # row by row: all pairs of ten thousand faces are gigabytes
        alike = np.flatnonzero(looks[row] @ looks[row:].T >= ALIKE) + row
        joined = np.unique(family[alike])
        if len(joined) > 1:
            family[np.isin(family, joined)] = joined[0]
    members: dict[int, list[Face]] = {}
    for place, (face, _) in enumerate(found):
        members.setdefault(int(family[place]), []).append(face)
    return tuple(tuple(faces) for faces in members.values())
