"""SimCLR, MoCo and BYOL: methods that compare views without labels. Imports no torch."""

from dataclasses import field
from math import log
from typing import Literal

from nearfar.encoders.head_specs import HeadName, HeadSpec, HeadWidth, LinearHeadSpec, MLPHeadSpec
from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec, head_named
from nearfar.methods.objective_specs import NTXentSpec, ObjectiveSpec, Temperature
from nearfar.spec import Count, Nested, Share


class SimCLRSpec(MethodSpec):
    """SimCLR (Chen et al. 2020): views of an image near, all other images far."""

    target = "nearfar.methods.simclr:SimCLR"
    title = "SimCLR"
    summary = "two views of an example near, all other examples of the batch far"
    source = "Chen et al. 2020"
    name: Literal["simclr"] = "simclr"
    objective: Nested[ObjectiveSpec] = NTXentSpec()
    """What the embeddings are compared by; `nearfar objectives` says what each computes."""
    head: HeadName = field(default="mlp", kw_only=True)
    """From features to embeddings; identity: the objective compares the features themselves."""
    projection_hidden: HeadWidth | None = 512
    """Width of the mlp head's hidden layer; None makes the head linear."""
    projection_dim: HeadWidth = 128
    """Width of the embeddings that the objective compares; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """Linear, batch-norm, ReLU, linear; or as set."""
        if self.projection_hidden is None and self.head == "mlp":
            return LinearHeadSpec(dim=self.projection_dim)
        mlp = MLPHeadSpec(hidden=self.projection_hidden, dim=self.projection_dim)
        return head_named(self.head, mlp)

    @property
    def reads_labels(self) -> bool:
        """Whether false negatives are dropped, by labels."""
        return self._drops != "no"

    def chance_loss(self, batch_size: int) -> float | None:
        """The logarithm of the candidates, one of which is the positive."""
        candidates = self.objective.candidates(batch_size)
        return None if candidates is None or self._drops == "yes" else log(candidates)

    @property
    def _drops(self) -> str:
        """What happens to false negatives, which not every objective can drop."""
        return getattr(self.objective, "drop_false_negatives", "no")

    def require_labels(self, labelled: bool, source: str) -> None:
        """Refuse data without labels where false negatives are dropped by them."""
        if self.reads_labels and not labelled:
            raise SettingError(
                f"method.objective.drop_false_negatives is {self._drops}: it needs labels, and the "
                f"part of {source} to learn from has none"
            )


class MoCoSpec(MethodSpec):
    """MoCo v1 and v2 (He et al. 2020, Chen et al. 2020): a query near its key, far from a queue."""

    target = "nearfar.methods.moco:MoCo"
    title = "MoCo"
    summary = (
        "a view near what a slow copy of the encoder says of the other, far from a queue of such"
    )
    source = "He et al. 2020, Chen et al. 2020"
    most_views = 2
    name: Literal["moco"] = "moco"
    head: HeadName = "mlp"
    """linear is v1's, mlp v2's, with a hidden layer; identity: features are compared themselves."""
    projection_hidden: HeadWidth | None = None
    """Width of the mlp head's hidden layer; left out, that of the features."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that the loss compares; an identity head keeps the features'."""
    temperature: Temperature = 0.2
    """Divides cosine similarities in the loss. v1 has 0.07."""
    queue_size: Count = 65536
    """Most keys of earlier steps that are negatives."""
    momentum: Share = 0.999
    """Share of its weights that the key encoder keeps at each step."""
    symmetric: bool = False
    """Add the loss with the views exchanged; each step then adds both views' keys to the queue."""
    batch_norm_splits: Count = 1
    """Parts of a rank's batch that batch-norm normalises apart, keys in random order; 1: whole."""

    def check(self) -> None:
        """The mlp head alone has a hidden layer."""
        if self.head != "mlp" and self.projection_hidden is not None:
            raise SettingError(
                f"method.projection_hidden is {self.projection_hidden}: the {self.head} head has "
                "no hidden layer: leave it out, or set method.head to mlp"
            )

    @property
    def projection(self) -> HeadSpec:
        """Linear, ReLU, linear; or as set."""
        mlp = MLPHeadSpec(
            hidden=self.projection_hidden,
            dim=self.projection_dim,
            batch_norm=False,
            hidden_bias=True,
        )
        return head_named(self.head, mlp)


class BYOLSpec(MethodSpec):
    """BYOL (Grill et al. 2020): predict a slow target network's view; no negatives."""

    target = "nearfar.methods.byol:BYOL"
    title = "BYOL"
    summary = "predict what a slow copy of the encoder says of the other view; no negatives"
    source = "Grill et al. 2020"
    most_views = 2
    name: Literal["byol"] = "byol"
    head: HeadName = field(default="mlp", kw_only=True)
    """The projector; identity: features are predicted themselves."""
    projection_hidden: HeadWidth = 4096
    """Width of the mlp projector's hidden layer."""
    projection_dim: HeadWidth = 256
    """Width of the embedding that is predicted; an identity head keeps the features'."""
    prediction_hidden: HeadWidth = 4096
    """Width of the predictor's hidden layer."""
    momentum: Share = 0.996
    """Share of its weights that the target keeps at the first step; rises to 1."""

    @property
    def projection(self) -> HeadSpec:
        """The projector: linear, batch-norm, ReLU, linear; or as set."""
        mlp = _byol_mlp(self.projection_hidden, self.projection_dim)
        return head_named(self.head, mlp)

    def prediction(self, num_features: int) -> MLPHeadSpec:
        """The predictor: from embeddings to embeddings.

        Args:
            num_features: Of the encoder.
        """
        return _byol_mlp(self.prediction_hidden, self.projection.width(num_features))


def _byol_mlp(hidden: int, dim: int) -> MLPHeadSpec:
    """Linear, batch-norm, ReLU, linear; the last without a bias (Grill et al. 2020, appendix C)."""
    return MLPHeadSpec(hidden=hidden, dim=dim, hidden_bias=True, bias=False)
