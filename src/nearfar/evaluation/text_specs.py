"""Protocols of texts alone. Imports no torch."""

from dataclasses import replace
from pathlib import Path

from nearfar.errors import SettingError
from nearfar.evaluation.measures import Measure
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.paths import user_path
from nearfar.plugins import imported


class SemanticSimilaritySpec(ProtocolSpec):
    """Whether cosines rank pairs of texts as the scores of a file do (Agirre et al. 2012)."""

    target = "nearfar.evaluation.semantic_similarity:judge"
    name = "semantic_similarity"
    judges = ("encoder", "embedding", "untrained", "raw")
    by_default = False
    measures = (
        Measure(
            name="semantic_similarity",
            words="Semantic similarity",
            parameters={"pairs": str},
            explained="Spearman's rank correlation of cosines with the scores of pairs, -1 to 1",
            better="higher",
            judge="semantic similarity",
            place=4,
        ),
    )

    pairs: Path | None = None
    """CSV, TSV or Parquet file of two texts and a number a row, higher for pairs more alike."""
    first_column: str | None = None
    """Its column of first texts; left out, sentence1 or the like, or one of two with words."""
    second_column: str | None = None
    """Its column of second texts, likewise."""
    score_column: str | None = None
    """Its column of numbers; left out, the one called score or the like, or the only one."""

    def with_absolute_paths(self) -> "SemanticSimilaritySpec":
        """The same, its file found from any folder."""
        if self.pairs is None:
            return self
        return replace(self, pairs=user_path(self.pairs).absolute())

    def check_run(self) -> None:
        """A file is named."""
        if self.pairs is None:
            raise SettingError(
                "evaluation.also names semantic_similarity: name a file of scored pairs by "
                "--evaluation.semantic-similarity.pairs FILE"
            )

    def require_files(self) -> None:
        """Read the file, which is small, and leave it."""
        imported("nearfar.data.scored_pairs:read_scored_pairs")(
            self.pairs, self.first_column, self.second_column, self.score_column
        )
