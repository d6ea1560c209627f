"""Settings of an estimate of mutual information. Imports nothing heavy."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from nearfar.bounds import HIGHEST_SEED
from nearfar.errors import SettingError
from nearfar.estimators.specs import BoundSpec
from nearfar.spec import Count, Spec

Width = Annotated[int, Ge(1), Le(2**16)]


class CriticSpec(Spec):
    """The network that scores a pair."""

    room: ClassVar[str] = "critic."

    kind: Literal["separable", "joint"] = "separable"
    """separable: g(x) · h(z), fast; joint: one network of both, finds more, far slower."""
    hidden: Width = 256
    """Units of each hidden layer."""
    layers: Annotated[int, Ge(1), Le(1000)] = 2
    """Hidden layers; 1 or more."""
    embedding_dim: Width = 32
    """Width of g(x) and h(z); a joint critic has none."""


class EstimationSpec(Spec):
    """What decides an estimate, besides the samples."""

    # Steady but limited by log N; a true bound without a limit; and two that trade between them.
    bounds: tuple[str, ...] = ("info_nce", "nwj", "jensen_shannon", "smile")
    """Any of donsker_varadhan mine nwj tuba jensen_shannon smile info_nce interpolated."""
    batch_size: Annotated[int, Ge(2)] = 128
    """N: pairs scored with each other; InfoNCE cannot exceed log N. Needs 8 N pairs or more."""
    max_steps: Count = 5000
    """Steps at most for each bound; 1000 without a gain end it earlier."""
    learning_rate: Annotated[float, Gt(0), Le(1_000_000)] = 5e-4
    """Of Adam, above 0."""
    critic: CriticSpec = CriticSpec()
    seed: Annotated[int, Ge(0), Le(HIGHEST_SEED)] = 0
    """Decides the parts, the first weights and the order."""

    def check(self) -> None:
        """One or more bounds, each once and known."""
        for bound in self.bounds:
            BoundSpec.named(bound)
        if not self.bounds or len(set(self.bounds)) < len(self.bounds):
            raise SettingError(
                f"bounds are {' '.join(self.bounds) or 'none'}: name one or more, each once"
            )
