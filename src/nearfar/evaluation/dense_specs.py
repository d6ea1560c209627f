"""Protocols of what is known of each pixel: its depth, or its class. Imports no torch."""

from collections.abc import Mapping
from functools import partial
from math import log
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le

from nearfar.errors import SettingError
from nearfar.evaluation.measures import Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.spec import Above0, Count, Share

HeadKind = Literal["linear", "conv"]
Trained = Literal["head", "all"]
"""What was trained on the targets: a head on frozen maps, or the whole network with it."""

_HEADS = {"linear": "linear head", "conv": "convolutional head"}
_Rate = Annotated[float, Gt(0), Le(10)]


class DenseMeasure(Measure):
    """Figures of a head that answers for each pixel."""

    def detail(self, parameters: Mapping[str, Any]) -> str:
        """Which head, what was trained, and what is not as it is by itself."""
        told = [_HEADS.get(parameters["head"], str(parameters["head"]))]
        if parameters["trained"] == "all":
            told.append("the whole network trained")
        if "stage" in parameters:
            told.append(f"stage {parameters['stage']}")
        told += [str(parameters[name]) for name in ("loss", "judged") if name in parameters]
        return ", ".join(told)

    def alone(self, parameters: Mapping[str, Any]) -> str:
        """The figure, and the head that gave it."""
        return f"{self.short}, {self.detail(parameters)}"

    def clause(self, parameters: Mapping[str, Any], draws: int) -> str:  # noqa: ARG002  others do
        """What is told, for a page may speak of several, and the head behind "under"."""
        return f"in {self.short} under a {self.detail(parameters)}"

    def priority(self, parameters: Mapping[str, Any]) -> float:
        """A linear head on frozen maps says most of the encoder."""
        return float(parameters["head"] != "linear") + 2 * (parameters["trained"] == "all")


class WithinMeasure(DenseMeasure):
    """Shares of pixels whose depth is right to a factor."""

    def title(self, parameters: Mapping[str, Any]) -> str:
        """The factor."""
        power = round(log(parameters["within"], 1.25))
        return f"Depth within a factor of 1.25{('', '', '²', '³')[power]}"

    def alone(self, parameters: Mapping[str, Any]) -> str:
        """The factor and the head."""
        title = self.title(parameters)
        return f"{title[0].lower()}{title[1:]}, {self.detail(parameters)}"


class DenseSpec(ProtocolSpec):
    """What both share: heads on maps of a frozen encoder, of raw patches, of an untrained one."""

    judges = ("encoder", "untrained", "raw")
    targets: ClassVar[Literal["depths", "masks"]]

    heads: tuple[HeadKind, ...] = ("linear", "conv")
    """linear: one weight for each feature of a place; conv: three convolutions of 3×3."""
    stage: Annotated[int, Ge(-32), Le(-1)] = -1
    """Which of the encoder's stages gives the maps: -1 the last, -2 the one before."""
    whole_network: bool = False
    """Also train the network with the head: from random weights, that is the supervised baseline,
    and from the encoder's."""
    epochs: Count = 20
    """Passes over the training part."""
    batch_size: Annotated[int, Ge(2), Le(4096)] = 32
    """Images in a step."""
    learning_rates: tuple[_Rate, ...] = (1e-3, 3e-3, 1e-2)
    """Highest rates of AdamW for heads that are tried on a part of the training data."""
    network_rate: _Rate = 1e-3
    """Highest rate where the whole network is trained."""
    weight_decay: Annotated[float, Ge(0), Le(10)] = 1e-4
    """Decay of the weights."""
    raw_patch: Annotated[int, Ge(1), Le(64)] = 8
    """Side in pixels of the patches that are the features of raw data."""

    def check(self) -> None:
        """There is a head, each once, and a rate."""
        for name in ("heads", "learning_rates"):
            if not getattr(self, name):
                raise SettingError(f"{self.room}{name} is empty: give at least one")
        if len(set(self.heads)) < len(self.heads):
            raise SettingError(f"{self.room}heads has {self.heads[0]} twice: name each once")


_SHARED = {"head": str, "trained": str}
_FURTHER = {"stage": int, "loss": str, "judged": str}
_measure = partial(DenseMeasure, parameters=_SHARED, optional=_FURTHER)


class DepthSpec(DenseSpec):
    """How far each pixel is, by a small head on frozen maps (Eigen et al. 2014)."""

    target = "nearfar.evaluation.depth:judge"
    name = "depth"
    targets = "depths"
    arrays = ("depth_images", "depth_truth", "depth_answers")
    measures = (
        _measure(
            name="depth_rmse",
            words="Depth, root mean squared error",
            short="depth RMSE",
            explained="in the unit of the depths, lower is better",
            better="lower",
        ),
        _measure(
            name="depth_mae",
            words="Depth, mean absolute error",
            short="depth MAE",
            explained="in the unit of the depths, lower is better",
            better="lower",
        ),
        _measure(
            name="depth_rel",
            words="Depth, relative error, lower is better",
            short="relative error of depth",
            explained="mean absolute error over the true depth, lower is better",
            better="lower",
            place=4,
        ),
        WithinMeasure(
            name="depth_within",
            words="Depth within a factor",
            short="depth within a factor",
            parameters={"within": float, **_SHARED},
            optional=_FURTHER,
            explained="share of pixels, 1 where all are; the factors are 1.25 and its powers",
            better="higher",
        ),
    )

    loss: Literal["log", "l1"] = "log"
    """What heads learn by: squared error of the logarithm of depth, or absolute error (l1)."""
    min_depth: Above0 = 1e-3
    """Nearest depth that is learnt and judged; answers are kept above it too."""
    max_depth: Above0 | None = None
    """Farthest depth, likewise, as 10 for NYU-Depth-v2; left out, that of the training part."""
    crop: tuple[Share, Share, Share, Share] = (0.0, 1.0, 0.0, 1.0)
    """What is judged of the test maps: from row to row and from column to column, in shares."""

    def check(self) -> None:
        """Ranges hold something."""
        super().check()
        if self.max_depth is not None and self.max_depth <= self.min_depth:
            raise SettingError(
                f"{self.room}max_depth is {self.max_depth:g}: it must be above min_depth, "
                f"{self.min_depth:g}"
            )
        top, bottom, left, right = self.crop
        if top >= bottom or left >= right:
            raise SettingError(
                f"{self.room}crop is {self.crop}: give first and last row, then first and last "
                "column, as shares: 0 1 0 1 is the whole"
            )


class SegmentationSpec(DenseSpec):
    """The class of each pixel, by a small head on frozen maps."""

    target = "nearfar.evaluation.segmentation:judge"
    name = "segmentation"
    targets = "masks"
    arrays = ("segmentation_images", "segmentation_truth", "segmentation_answers")
    measures = (
        _measure(
            name="mean_iou",
            words="Segmentation, mean IoU, higher is better",
            short="mean IoU",
            explained="of intersection over union, for classes that are there or answered",
            better="higher",
            place=5,
        ),
        _measure(
            name="pixel_accuracy",
            words="Segmentation, right pixels",
            short="right pixels",
            explained="share of the judged pixels",
            better="higher",
        ),
    )

    heads: tuple[HeadKind, ...] = ("linear",)
    """linear: one weight for each feature of a place; conv: three convolutions of 3×3."""
