"""SupCon, PaCo and cross-entropy: methods that learn from labels. Imports no torch."""

from dataclasses import field
from typing import Literal

from nearfar.encoders.head_specs import HeadName, HeadSpec, HeadWidth, MLPHeadSpec
from nearfar.methods.method_spec import MethodSpec, head_named
from nearfar.methods.objective_specs import Temperature
from nearfar.spec import Above0, Count, Share


class SupConSpec(MethodSpec):
    """SupCon (Khosla et al. 2020): views of all images of a class near, other classes far."""

    target = "nearfar.methods.supcon:SupCon"
    title = "SupCon"
    summary = "all views of all examples of a class near, those of other classes far"
    source = "Khosla et al. 2020"
    needs_labels = True
    name: Literal["supcon"] = "supcon"
    temperature: Temperature = 0.1
    """Divides cosine similarities in the loss."""
    kind: Literal["out", "in"] = "out"
    """Mean over positives outside the logarithm, as its authors recommend, or inside."""
    head: HeadName = field(default="mlp", kw_only=True)
    """From features to embeddings; identity: the loss compares the features themselves."""
    projection_hidden: HeadWidth = 512
    """Width of the mlp head's hidden layer."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that the loss compares; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """Linear, batch-norm, ReLU, linear; or as set."""
        mlp = MLPHeadSpec(hidden=self.projection_hidden, dim=self.projection_dim)
        return head_named(self.head, mlp)


class SupConQueueSpec(MethodSpec):
    """SupCon over MoCo's queue: keys of a momentum encoder are candidates (Cui et al. 2021)."""

    target = "nearfar.methods.supcon_queue:SupConQueue"
    title = "SupCon with a queue"
    summary = "a view near all of its class, among them a queue of what a slow encoder says"
    source = "Khosla et al. 2020, He et al. 2020, Cui et al. 2021"
    needs_labels, most_views = True, 2
    name: Literal["supcon-queue"] = "supcon-queue"
    temperature: Temperature = 0.1
    """Divides cosine similarities in the loss."""
    kind: Literal["out", "in"] = "out"
    """Mean over positives outside the logarithm, as SupCon's authors recommend, or inside."""
    queue_size: Count = 8192
    """Most keys of earlier steps that are candidates."""
    momentum: Share = 0.999
    """Share of its weights that the key encoder keeps at each step."""
    head: HeadName = "mlp"
    """From features to embeddings; identity: the loss compares the features themselves."""
    projection_hidden: HeadWidth = 512
    """Width of the mlp head's hidden layer."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that the loss compares; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """SupCon's: linear, batch-norm, ReLU, linear; or as set."""
        mlp = MLPHeadSpec(hidden=self.projection_hidden, dim=self.projection_dim)
        return head_named(self.head, mlp)


class CrossEntropySpec(MethodSpec):
    """Cross-entropy: the supervised baseline, a linear classifier on the encoder."""

    target = "nearfar.methods.cross_entropy:CrossEntropy"
    title = "cross-entropy"
    summary = "a linear classifier trained with its encoder: the supervised baseline"
    source = "the usual practice"
    needs_labels, needs_class_counts, least_views = True, True, 1
    without_head = "its classifier reads the features"
    name: Literal["cross-entropy"] = "cross-entropy"


class BalancedSoftmaxSpec(MethodSpec):
    """Balanced softmax (Ren et al. 2020): cross-entropy that knows how often each class occurs."""

    target = "nearfar.methods.cross_entropy:CrossEntropy"
    title = "balanced softmax"
    summary = "cross-entropy whose softmax knows how often each class occurs, for long tails"
    source = "Ren et al. 2020"
    needs_labels, needs_class_counts, least_views = True, True, 1
    without_head = "its classifier reads the features"
    name: Literal["balanced-softmax"] = "balanced-softmax"


class PaCoSpec(MethodSpec):
    """PaCo (Cui et al. 2021): supervised contrast with a queue and a centre for every class."""

    target = "nearfar.methods.paco:PaCo"
    title = "PaCo"
    summary = "supervised contrast with a queue, and a learned centre for every class"
    source = "Cui et al. 2021"
    needs_labels, needs_class_counts, most_views = True, True, 2
    name: Literal["paco"] = "paco"
    temperature: Temperature = 0.2
    """Divides cosine similarities of samples, not the centres' logits."""
    alpha: Above0 = 0.05
    """Weight of a positive sample beside its class's centre, which weighs 1."""
    normalisation: Literal["sum", "mean"] = "mean"
    """sum as the paper writes the loss; mean divides by the weights, as its program does."""
    queue_size: Count = 8192
    """Most keys of earlier steps that are candidates."""
    momentum: Share = 0.999
    """Share of its weights that the key encoder keeps at each step."""
    head: Literal["identity", "linear", "mlp", "batch-norm", "three-layer"] = "batch-norm"
    """mlp: linear, ReLU, linear; batch-norm: SimCLR's; three-layer: its program's for CIFAR, with
    two hidden layers and no batch-norm."""
    projection_hidden: HeadWidth = 512
    """Width of each hidden layer of the projection head."""
    projection_dim: HeadWidth = 128
    """Width of the embedding that samples are compared by; an identity head keeps the features'."""

    @property
    def projection(self) -> HeadSpec:
        """As set."""
        hidden, dim = self.projection_hidden, self.projection_dim
        if self.head == "batch-norm":
            return MLPHeadSpec(hidden=hidden, dim=dim)
        depth = 2 if self.head == "three-layer" else 1
        mlp = MLPHeadSpec(hidden=hidden, dim=dim, depth=depth, batch_norm=False, hidden_bias=True)
        return head_named("mlp" if self.head == "three-layer" else self.head, mlp)
