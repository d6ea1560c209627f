"""Contrastive representation learning, from the objective to the evidence.

The public names load what they need when they are first used, so `import nearfar` itself does not
wait for torch.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfar.contrastive_encoder import ContrastiveEncoder as ContrastiveEncoder
    from nearfar.encoders.saved import load_encoder as load_encoder
    from nearfar.information.estimate import estimate_mi as estimate_mi
    from nearfar.objectives.alignment_uniformity import alignment as alignment
    from nearfar.objectives.alignment_uniformity import uniformity as uniformity
    from nearfar.objectives.nt_xent import nt_xent as nt_xent
    from nearfar.recipes.recipe import Recipe as Recipe
    from nearfar.recipes.run import run_recipe as run_recipe

    __version__: str

_HOMES = {
    "ContrastiveEncoder": "nearfar.contrastive_encoder",
    "Recipe": "nearfar.recipes.recipe",
    "alignment": "nearfar.objectives.alignment_uniformity",
    "estimate_mi": "nearfar.information.estimate",
    "load_encoder": "nearfar.encoders.saved",
    "nt_xent": "nearfar.objectives.nt_xent",
    "run_recipe": "nearfar.recipes.run",
    "uniformity": "nearfar.objectives.alignment_uniformity",
}

__all__ = [  # noqa: RUF022 (the order of the table above)
    "ContrastiveEncoder",
    "Recipe",
    "alignment",
    "estimate_mi",
    "load_encoder",
    "nt_xent",
    "run_recipe",
    "uniformity",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for."""
    if name == "__version__":
        return metadata.version("nearfar")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
