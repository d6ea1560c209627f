"""What the gallery shows: small runs, the command of each, and the parts of its report."""

import shlex
from dataclasses import dataclass

TOP = "top"
"""All from the title and the verdict down to the end of the first section."""


@dataclass(frozen=True)
class Picture:
    """A part of a report.

    Attributes:
        name: Of its file, without ending.
        heading: What it begins with, down to the end of the section; or `TOP`.
        height: Pixels at most.
    """

    name: str
    heading: str
    height: int = 900


@dataclass(frozen=True)
class Shown:
    """A run of the gallery.

    Attributes:
        name: Of its folder.
        command: What trains it, as it stands on the page.
        pictures: Of its report.
        needs: The command that fetches its data; None where there is nothing to fetch.
    """

    name: str
    command: str
    pictures: tuple[Picture, ...]
    needs: str | None = None

    @property
    def words(self) -> list[str]:
        """The command's words behind `nearfar`, without `--out`."""
        words = shlex.split(self.command)[1:]
        place = words.index("--out")
        return words[:place] + words[place + 2 :]


SHOWN = (
    Shown(
        "images",
        "nearfar train simclr-digits --training.epochs 20 --out runs/gallery/images",
        (Picture("images", TOP, 1200), Picture("images-neighbours", "Nearest neighbours", 640)),
    ),
    Shown(
        "text",
        "nearfar train simcse-glosses --data.examples 4000 --training.epochs 4 "
        "--out runs/gallery/text",
        (Picture("text", TOP, 760), Picture("text-neighbours", "Nearest neighbours", 520)),
        needs="make wordnet",
    ),
    Shown(
        "pairs",
        "nearfar train clip-openmoji --training.epochs 15 --out runs/gallery/pairs",
        (Picture("pairs", "Pairs", 900),),
        needs="make openmoji",
    ),
    Shown(
        "dense",
        "nearfar train simclr-scenes --data.examples 600 --training.epochs 8 "
        "--evaluation.depth.no-whole-network --out runs/gallery/dense",
        (Picture("dense", "Depth of pixels", 900),),
    ),
    Shown(
        "long-tail",
        "nearfar train paco-digits --data.imbalance-factor 30 --data.tail-order drawn "
        "--training.epochs 20 --out runs/gallery/long-tail",
        (Picture("long-tail", "By training images of the class", 655),),
    ),
)
