"""Protocols of how features lie: alignment, map, neighbours, rank. Imports no torch."""

from typing import Annotated

from annotated_types import Ge

from nearfar.evaluation.measures import CentredMeasure, Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec


class GeometrySpec(ProtocolSpec):
    """Alignment, uniformity and distances of views on the sphere (Wang & Isola 2020)."""

    target = "nearfar.evaluation.geometry:judge"
    name = "geometry"
    judges = ("encoder", "embedding", "untrained")
    judges_every_embedding = True
    measures = (
        Measure(
            name="alignment",
            parameters={"alpha": float},
            explained="mean squared distance of two views of one {one}, lower is nearer",
        ),
        Measure(
            name="uniformity",
            parameters={"t": float},
            explained="lower is more evenly spread over the sphere",
        ),
    )
    arrays = (
        "positive_distances",
        "random_distances",
        "embedding_positive_distances",
        "embedding_random_distances",
        "untrained_positive_distances",
        "untrained_random_distances",
    )


class MapSpec(ProtocolSpec):
    """A map of the features in two dimensions, by t-SNE (van der Maaten & Hinton 2008)."""

    target = "nearfar.evaluation.embedding_map:judge"
    name = "map"
    judges = ("encoder", "embedding")
    arrays = ("shown_map", "embedding_shown_map")


class GallerySpec(ProtocolSpec):
    """Some examples beside the training examples that the encoder finds nearest."""

    target = "nearfar.evaluation.gallery:judge"
    name = "gallery"
    judges = ("encoder", "embedding")
    arrays = (
        "neighbor_indices",
        "neighbor_similarities",
        "neighbor_labels",
        "gallery_queries",
        "gallery_bank_indices",
        "gallery_images",
        "embedding_neighbor_indices",
        "embedding_neighbor_similarities",
        "embedding_neighbor_labels",
        "embedding_gallery_queries",
        "embedding_gallery_bank_indices",
        "embedding_gallery_images",
    )


class EffectiveRankSpec(ProtocolSpec):
    """Directions that the features take, or RankMe (Garrido et al. 2023)."""

    target = "nearfar.evaluation.effective_rank:judge"
    name = "effective_rank"
    judges = ("encoder", "embedding", "untrained", "raw")
    measures = (
        CentredMeasure(
            name="effective_rank",
            parameters={"centred": bool},
            explained="directions that the features take, 1 where they have collapsed",
        ),
    )

    examples: Annotated[int, Ge(2)] = 2048
    """Training examples that it is computed from, at most; a rank depends on how many."""
