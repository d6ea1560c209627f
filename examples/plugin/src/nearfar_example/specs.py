"""What this package adds, each as one spec. It imports no torch: help and refusals stay fast."""

from typing import Annotated, ClassVar, Literal

from annotated_types import Ge, Le

from nearfar.data.source_spec import SourceSpec
from nearfar.encoders.specs import OwnImageEncoderSpec
from nearfar.evaluation.measures import Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.evaluation.records import FeatureKind
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.modality import Modality
from nearfar.spec import NotNegative

Width = Annotated[int, Ge(1), Le(2**16)]


class SpectralSpec(ObjectiveSpec):
    """Spectral contrast: squared dot products of other examples are pushed to 0."""

    function: ClassVar[str] = "nearfar_example.spectral:spectral"

    name: Literal["spectral"] = "spectral"
    weight: NotNegative = 1.0
    """Multiplies what pushes apart."""


class SimSiamSpec(MethodSpec):
    """SimSiam: each view predicts the other, which takes no gradient."""

    target: ClassVar[str] = "nearfar_example.simsiam:SimSiam"
    title: ClassVar[str] = "SimSiam"
    summary: ClassVar[str] = "predict the other view, which takes no gradient; no negatives"
    source: ClassVar[str] = "Chen and He 2021"
    most_views: ClassVar[int] = 2

    name: Literal["simsiam"] = "simsiam"
    projection_dim: Width = 2048
    """Features of the projection, and units of its hidden layers."""
    prediction_hidden: Width = 512
    """Units of the predictor's hidden layer, a bottleneck."""


class PlainConvNetSpec(OwnImageEncoderSpec):
    """Three convolutions without shortcuts, for small images."""

    target: ClassVar[str] = "nearfar_example.plain_convnet:PlainConvNet"

    name: Literal["plain-convnet"] = "plain-convnet"


class IrisSpec(SourceSpec):
    """Fisher's irises inside scikit-learn."""

    target: ClassVar[str] = "nearfar_example.iris:load_iris"
    modality: ClassVar[Modality] = "vectors"
    summary: ClassVar[str] = "150 irises of three species: 105 to learn from, 45 for test"
    classes: ClassVar[int | None] = 3
    train_examples: ClassVar[int | None] = 105
    size: ClassVar[str] = "4 features (lengths and widths of sepals and petals, cm)"
    licence: ClassVar[str] = "CC BY 4.0 (UCI repository); the copy read here is scikit-learn's"
    citation: ClassVar[str | None] = (
        "Fisher 1936, The Use of Multiple Measurements in Taxonomic Problems, Annals of Eugenics 7"
    )
    home: ClassVar[str | None] = "archive.ics.uci.edu/dataset/53"

    name: Literal["iris"] = "iris"


class EntropyRankSpec(ProtocolSpec):
    """How many directions the features use (RankMe, Garrido et al. 2023)."""

    target: ClassVar[str] = "nearfar_example.entropy_rank:judge"
    name: ClassVar[str] = "entropy_rank"
    judges: ClassVar[tuple[FeatureKind, ...]] = ("encoder", "untrained")
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure(
            name="entropy_rank",
            explained="e to the entropy of the shares of the singular values, 1 to the number of "
            "features",
        ),
    )

    examples: Annotated[int, Ge(2)] = 10_000
    """Test examples that it is measured on, the first ones."""
