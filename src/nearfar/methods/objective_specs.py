"""The objectives that SimCLR may compare views by, each with its settings. Imports no torch."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt

from nearfar.errors import SettingError
from nearfar.spec import Above0, Choice, NotNegative

Temperature = Annotated[float, Ge(0.0001), Le(10_000)]
"""Beyond this range similarities become too large, or too alike, for float32."""

DropFalseNegatives = Literal["no", "yes", "rescaled"]


class ObjectiveSpec(Choice, noun="objective"):
    """An objective over two or more views of each example.

    Attributes:
        function: "module:name" of what computes it from two views, or from all, and the settings.
        of_all_views: The function takes all views in one sequence. Where it takes two, the loss is
            the mean over all pairs of views.
        name: Which objective; `nearfar methods simclr` lists those that views can be compared by.
    """

    room: ClassVar[str] = "method.objective."
    target: ClassVar[str] = "nearfar.methods.pairwise:PairwiseObjective"
    function: ClassVar[str]
    of_all_views: ClassVar[bool] = False

    @property
    def critic_temperature(self) -> float | None:
        """What cosines are divided by, where the objective is read as a critic of pairs.

        None stands for raw dot products. An objective without such a critic is judged with that of
        `info_nce`, 0.1.
        """
        return getattr(self, "temperature", 0.1)

    def candidates(self, batch_size: int) -> int | None:  # noqa: ARG002  most have none
        """Rows of two views among which an anchor's positive is one and all are alike.

        Returns:
            How many; None where the loss is not the logarithm of a share among candidates.
        """
        return None


class NTXentSpec(ObjectiveSpec):
    """NT-Xent: the other view near, all other rows far (Chen et al. 2020)."""

    function = "nearfar.objectives:nt_xent"
    name: Literal["nt_xent"] = "nt_xent"
    temperature: Temperature = 0.5
    """Divides cosine similarities."""
    drop_false_negatives: DropFalseNegatives = "no"
    """Labels take images of one class out of the negatives, an experiment."""

    def candidates(self, batch_size: int) -> int:
        """All rows but the anchor."""
        return 2 * batch_size - 1


class DebiasedNegSpec(ObjectiveSpec):
    """Negatives freed of the share that are of the anchor's class (Chuang et al. 2020)."""

    function, of_all_views = "nearfar.objectives:debiased_neg", True
    name: Literal["debiased_neg"] = "debiased_neg"
    temperature: Temperature = 0.5
    """Divides cosine similarities."""
    tau_plus: Annotated[float, Ge(0), Lt(1)] = 0.1
    """Probability that another image is of the same class."""
    beta: NotNegative = 0.0
    """Concentration on hard negatives; 0 is none (Robinson et al. 2021)."""
    drop_false_negatives: DropFalseNegatives = "no"
    """Labels take images of one class out of the negatives, an experiment."""

    def candidates(self, batch_size: int) -> int:
        """All rows but the anchor."""
        return 2 * batch_size - 1


class DebiasedPosSpec(ObjectiveSpec):
    """Positives freed of those that are of other classes (debiased contrastive, positives)."""

    function, of_all_views = "nearfar.objectives:debiased_pos", True
    name: Literal["debiased_pos"] = "debiased_pos"
    temperature: Temperature = 0.5
    """Divides cosine similarities."""
    tau_plus: Annotated[float, Gt(0), Lt(1)] = 0.1
    """Probability that another image is of the same class."""
    positives: Literal["grouping", "combination"] = "grouping"
    """Of more than two views: mean of the positives, or of all pairs' losses."""
    marginal_over: Literal["candidates", "negatives"] = "candidates"
    """What the sum over all candidates is divided by."""
    drop_false_negatives: DropFalseNegatives = "no"
    """Labels take images of one class out of the negatives, an experiment."""

    def candidates(self, batch_size: int) -> int | None:
        """All rows but the anchor; none where the sum is over negatives alone."""
        return None if self.marginal_over == "negatives" else 2 * batch_size - 1


class DecoupledSpec(ObjectiveSpec):
    """NT-Xent without the positive among the candidates (Yeh et al. 2022)."""

    function = "nearfar.objectives:decoupled"
    name: Literal["decoupled"] = "decoupled"
    temperature: Temperature = 0.1
    """Divides cosine similarities."""

    def candidates(self, batch_size: int) -> int:
        """All rows but the anchor and its positive."""
        return 2 * batch_size - 2


class AlignUniformSpec(ObjectiveSpec):
    """Alignment and uniformity on the hypersphere, added (Wang and Isola 2020)."""

    function = "nearfar.objectives:align_uniform"
    name: Literal["align_uniform"] = "align_uniform"
    align_weight: NotNegative = 1.0
    """Weight of the alignment."""
    uniform_weight: NotNegative = 1.0
    """Weight of the uniformity."""
    alpha: Above0 = 2.0
    """Power of the distance in the alignment."""
    t: Above0 = 2.0
    """Sharpness of the potential in the uniformity."""

    def check(self) -> None:
        """Something is left to learn from."""
        _require_a_weight(self, "align_weight", "uniform_weight")

    @property
    def critic_temperature(self) -> float:
        """1/(2t), because e^{−t‖x − y‖²} is e^{2t cosine} but for a constant."""
        return 1 / (2 * self.t)


class ContrastAlignUniformSpec(ObjectiveSpec):
    """NT-Xent, alignment and uniformity, weighted and added (Wang and Isola 2020)."""

    function = "nearfar.objectives:contrast_align_uniform"
    name: Literal["contrast_align_uniform"] = "contrast_align_uniform"
    contrast_weight: NotNegative = 1.0
    """Weight of NT-Xent; 0 leaves it out."""
    align_weight: NotNegative = 1.0
    """Weight of the alignment; 0 leaves it out."""
    uniform_weight: NotNegative = 1.0
    """Weight of the uniformity; 0 leaves it out."""
    temperature: Temperature = 0.5
    """Divides cosine similarities in NT-Xent."""
    alpha: Above0 = 2.0
    """Power of the distance in the alignment."""
    t: Above0 = 2.0
    """Sharpness of the potential in the uniformity."""

    def check(self) -> None:
        """Something is left to learn from."""
        _require_a_weight(self, "contrast_weight", "align_weight", "uniform_weight")

    @property
    def critic_temperature(self) -> float:
        """NT-Xent's; where it weighs nothing, that of uniformity."""
        return self.temperature if self.contrast_weight else 1 / (2 * self.t)


class TripletSpec(ObjectiveSpec):
    """Batch-hard triplets whose classes are the examples (Hermans et al. 2017)."""

    function, of_all_views = "nearfar.methods.pairwise:triplet_of_views", True
    name: Literal["triplet"] = "triplet"
    margin: Above0 = 1.0
    """By how much squared distances to negatives must be larger."""


class NPairSpec(ObjectiveSpec):
    """N-pair: InfoNCE over raw dot products (Sohn 2016)."""

    function = "nearfar.objectives:n_pair"
    name: Literal["n_pair"] = "n_pair"

    @property
    def critic_temperature(self) -> None:
        """Raw dot products."""
        return None

    def candidates(self, batch_size: int) -> int:
        """The second view's rows."""
        return batch_size


class VICRegSpec(ObjectiveSpec):
    """Views near, deviations above 1, covariances 0 (Bardes et al. 2022)."""

    function = "nearfar.objectives:vicreg"
    name: Literal["vicreg"] = "vicreg"
    similarity_weight: NotNegative = 25.0
    """Weight of the distance between views."""
    variance_weight: NotNegative = 25.0
    """Weight of the deviations that are below 1."""
    covariance_weight: NotNegative = 1.0
    """Weight of the covariances."""


class BarlowTwinsSpec(ObjectiveSpec):
    """Correlations of two views' dimensions near the identity (Zbontar et al. 2021)."""

    function = "nearfar.objectives:barlow_twins"
    name: Literal["barlow_twins"] = "barlow_twins"
    off_diagonal_weight: NotNegative = 0.005
    """Weight of the correlations between different dimensions."""


class SigmoidSpec(ObjectiveSpec):
    """Every pair judged by itself; scale and bias are learnt (Zhai et al. 2023)."""

    target, function = "nearfar.methods.pairwise:LearntSigmoid", "nearfar.objectives:sigmoid"
    name: Literal["sigmoid"] = "sigmoid"


def _require_a_weight(spec: ObjectiveSpec, *names: str) -> None:
    """Refuse an objective whose terms all weigh nothing."""
    if not any(getattr(spec, name) for name in names):
        told = " and ".join(spec.room + name for name in names)
        raise SettingError(f"{told} are 0: nothing is left to learn from, so set one above 0")
