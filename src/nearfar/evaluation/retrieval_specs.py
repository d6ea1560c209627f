"""Protocols without a classifier: what is found among others, and clusters. Imports no torch."""

from typing import Annotated, Literal

from annotated_types import Ge, Le

from nearfar.errors import SettingError
from nearfar.evaluation.measures import Measure, RetrievalMeasure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.spec import Count

_OF_SOME = {"queries": int, "of": int}
"""Parameters of records where not all ask that could: how many do, and of how many."""


class RetrievalSpec(ProtocolSpec):
    """Examples of the same class among those most alike (Musgrave et al. 2020)."""

    target = "nearfar.evaluation.retrieval:judge"
    name = "retrieval"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    asks_gallery = True
    measures = (
        RetrievalMeasure(
            name="recall",
            parameters={"k": int, "gallery": str},
            optional=_OF_SOME,
            explained="share of queries with one of their class among the k nearest",
        ),
        RetrievalMeasure(
            name="map_at_r",
            words="Mean average precision at R",
            short="MAP@R",
            parameters={"gallery": str},
            optional=_OF_SOME,
            explained="1 where the R nearest are the R others of the class",
        ),
        RetrievalMeasure(
            name="reciprocal_rank",
            words="Mean reciprocal rank",
            short="MRR",
            parameters={"gallery": str},
            optional=_OF_SOME,
            explained="1 where the nearest is of the class, 1/r where the first is the r-th",
        ),
    )

    gallery: Literal["test", "train"] = "test"
    """What is searched: the other test examples, or the training part, which test examples ask.
    Data with a query and a gallery part have both sets, and this decides nothing."""
    ranks: tuple[Count, ...] = (1, 5, 10)
    """Each k of recall@k."""
    queries: Count | Literal["auto", "all"] = "auto"
    """Examples that ask, drawn at random; auto: 2000, and fewer where these would take more than
    about a minute; all: every one. All others are searched none the less."""

    def check(self) -> None:
        """There is a rank."""
        if not self.ranks:
            raise SettingError(f"{self.room}ranks is empty: give at least one, such as 1")


class ClusteringSpec(ProtocolSpec):
    """k-means of the test part's features of length 1, beside the classes."""

    target = "nearfar.evaluation.clustering:judge"
    name = "clustering"
    judges = ("encoder", "embedding", "untrained", "raw")
    needs_labels = True
    by_default = False
    measures = (
        Measure(
            name="normalised_mutual_information",
            words="Normalised mutual information",
            short="NMI",
            parameters={"clusters": int},
            explained="of clusters and classes, 1 where they are the same",
        ),
        Measure(
            name="adjusted_rand_index",
            words="Adjusted Rand index",
            short="ARI",
            parameters={"clusters": int},
            explained="of clusters and classes, 0 for chance and 1 where they are the same",
        ),
    )

    clusters: Annotated[int, Ge(2)] | None = None
    """Number of clusters; as many as classes where left out."""
    seeds: Annotated[int, Ge(1), Le(1000)] = 5
    """Starts of k-means; 2 or more give a spread."""
    examples: Annotated[int, Ge(2)] = 10_000
    """Test examples that are clustered, at most."""
