"""Studies on characters drawn from fonts: hours on one core, `make fonts` first."""

from nearfar.recipes.fonts import simclr_fonts
from nearfar.sweeps.axes import ValuesSpec
from nearfar.sweeps.known_studies import study
from nearfar.sweeps.study import Study


@study
def simclr_fonts_views() -> Study:
    """How much colour, blur and turning SimCLR's views of characters need.

    A grid of three strengths of jitter, with and without blur and rotation, two seeds each: 24 runs
    of 20 minutes on one core, so --workers as many as there are.
    """
    return Study(
        recipe=simclr_fonts(),
        axes=(
            ValuesSpec(setting="views.jitter_strength", values=(0.25, 0.5, 1.0)),
            ValuesSpec(setting="views.blur", values=(0.0, 0.5)),
            ValuesSpec(setting="views.rotation", values=(0.0, 10.0)),
        ),
        seeds=(0, 1),
    )
