"""What the studies of the second source share: its name, its arms, their spread."""

from nearfar.recipes.recipe import Recipe
from papers.reproductions.probed import BLURRED, run, simclr
from papers.reproductions.reproduction import Pilot

SOURCE = "Sáez Maldonado 2021"


def _pilot() -> dict[str, Recipe]:
    return {"blur": run(simclr(), views=BLURRED), "no-blur": run(simclr())}


PILOT = Pilot("simclr", _pilot)
