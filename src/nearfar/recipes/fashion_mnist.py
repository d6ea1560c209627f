"""Recipes for Fashion-MNIST on two CPU cores: every method in one set-up. Light."""

from dataclasses import replace
from typing import Any

from nearfar.data.specs import FashionMNISTSpec
from nearfar.encoders.specs import PatchGRUSpec, SmallResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.cpc_spec import CPCSpec
from nearfar.methods.labelled_specs import (
    BalancedSoftmaxSpec,
    CrossEntropySpec,
    PaCoSpec,
    SupConSpec,
)
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import (
    AlignUniformSpec,
    BarlowTwinsSpec,
    DebiasedNegSpec,
    DebiasedPosSpec,
    DecoupledSpec,
    NTXentSpec,
    ObjectiveSpec,
    VICRegSpec,
)
from nearfar.methods.unlabelled_specs import BYOLSpec, MoCoSpec, SimCLRSpec
from nearfar.recipes.known import (
    Duration,
    Family,
    Figure,
    Figures,
    few_labels,
    knn,
    measured,
    recipe,
)
from nearfar.recipes.recipe import Recipe
from nearfar.training.schedules import CosineSpec
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SimCLRViewsSpec

_THREAD = "one thread of an AMD EPYC with bf16"
_PAGE = "docs/results.md"
_THREE = (0, 1, 2)

FASHION = Family(
    "Fashion-MNIST",
    data="FOLDER holds the four IDX files of 60 000 grey pictures of clothes, 28 px; Debian's "
    "package dataset-fashion-mnist puts them into /usr/share/datasets/fashion-mnist.",
    command="nearfar train {name} --data.root FOLDER",
    hardware="two CPU cores",
)
COMPARED = replace(
    FASHION,
    setup="All recipes of this family but simclr-fashion share one set-up, so that methods can be "
    "compared: 6 epochs of a narrow ResNet at one rate, on the same views.",
)
LONG_TAIL = replace(
    FASHION,
    title="Fashion-MNIST, a long tail of imbalance factor 100",
    setup="The set-up that the methods on Fashion-MNIST share, on 14 886 images, for as many "
    "steps: 24 epochs.",
)

_VIEWS = SimCLRViewsSpec(crop_scale=(0.3, 1.0), blur=0.0)
"""Of grey clothes: no blur, and crops that leave something of them."""
_TEMPERATURE = 0.5
"""Of NT-Xent and of what is compared with it, as in Troshestova & Isachenko (2023).

At 0.2 debiased positives spread all embeddings and align none: `e^{1/T}`, the row with itself, then
outweighs every positive in what they maximise.
"""
SMALLEST = "the three smallest classes"


def shared_setup(method: MethodSpec, **changes: Any) -> Recipe:
    """Six epochs of a narrow ResNet on Fashion-MNIST, in bf16 where the machine is fast at it.

    So few that every method, several times, takes an evening on two cores: an epoch of two views
    is about 30 s of one core.

    Args:
        method: What trains the encoder.
        changes: Fields of `Recipe` in which the recipe differs, each as a whole.
    """
    shared: dict[str, Any] = {
        "data": FashionMNISTSpec(),
        "views": _VIEWS,
        "encoder": SmallResNetSpec(width=16),
        "method": method,
        "training": TrainingSpec(
            epochs=6,
            batch_size=256,
            optimizer=AdamWSpec(learning_rate=3e-3),
            schedule=CosineSpec(warmup_share=1 / 6),
            knn_every=3,
        ),
        # k = 20 leads the report: it is the vote that serves raw pixels best.
        "evaluation": EvaluationSpec.by(
            KNNSpec(votes=((20, 0.07), (200, 0.1))), FewLabelsSpec(labels_per_class=(10,))
        ),
    }
    return Recipe(**shared | changes)


def long_tail_setup(method: MethodSpec) -> Recipe:
    """The same on a long tail of imbalance factor 100, for as many steps.

    6000 examples of the first class fall off to 60 of the last, 14 886 in all: a quarter of the
    whole set, so that 24 epochs are about the steps of 6. None is held out for the check during
    training: the sizes of the classes are those of the literature, and six fewer of the last tell.

    Args:
        method: What trains the encoder.
    """
    whole = shared_setup(method)
    return replace(
        whole,
        data=replace(whole.data, imbalance_factor=100.0, held_out=0.0),
        training=replace(whole.training, epochs=24, knn_every=12),
    )


def _pairwise(objective: ObjectiveSpec, *, views: int = 2) -> Recipe:
    """The shared set-up of SimCLR with an objective."""
    return shared_setup(SimCLRSpec(objective=objective), views=replace(_VIEWS, count=views))


def _measured(
    knn_20: tuple[float, float],
    ten_labels: tuple[float, float],
    seeds: tuple[int, ...] = _THREE,
    untrained: tuple[float, float] = (78.7, 52.3),
) -> Figures:
    """What the comparison of methods found, top-1 and deviation over the seeds."""
    return measured(
        knn(20, 0.07, *knn_20, untrained=untrained[0], raw=89.0),
        few_labels(10, *ten_labels, untrained=untrained[1], raw=70.7),
        examples=10_000,
        seeds=seeds,
        page=_PAGE,
    )


def _minutes(minutes: float) -> Duration:
    return Duration(60 * minutes, _THREAD)


def _judged_by_classifier(*all_and_smallest: tuple[float, float]) -> Figures:
    """What a long tail's own classifier reads: of all classes, and of the three smallest."""
    (whole, whole_sd), (few, few_sd) = all_and_smallest
    return measured(
        Figure("classifier", whole, whole_sd),
        Figure("classifier", few, few_sd, of=SMALLEST),
        examples=10_000,
        seeds=_THREE,
        page=_PAGE,
    )


_ANY_RUN = Duration(60 * 4.1, _THREAD, "the median of the runs of the comparison that ran there")


@recipe(
    FASHION,
    measured(
        knn(20, 0.07, 86.8, 0.6, raw=89.0),
        few_labels(10, 74.4, 0.3, raw=70.7),
        examples=10_000,
        seeds=_THREE,
        page=_PAGE,
    ),
    Duration(
        60 * 18.0, _THREAD, "8 min on two threads (from two epochs of it), judging 2 min more"
    ),
)
def simclr_fashion() -> Recipe:
    """SimCLR with a small ResNet for 30 epochs, at temperature 0.2."""
    return shared_setup(
        SimCLRSpec(
            objective=NTXentSpec(temperature=0.2), projection_hidden=512, projection_dim=128
        ),
        training=TrainingSpec(
            epochs=30, batch_size=256, optimizer=AdamWSpec(learning_rate=3e-3), knn_every=5
        ),
        evaluation=EvaluationSpec.by(KNNSpec(votes=((20, 0.07), (200, 0.1), (200, 0.5)))),
    )


@recipe(COMPARED, _measured((86.2, 0.7), (72.8, 0.4)), _minutes(4.5))
def simclr_fashion_short() -> Recipe:
    """SimCLR for 6 epochs: what the other methods are compared with."""
    return _pairwise(NTXentSpec(temperature=_TEMPERATURE))


@recipe(COMPARED, _measured((85.5, 0.5), (72.9, 0.5)), _minutes(4.6))
def debiased_neg_fashion() -> Recipe:
    """SimCLR with debiased negatives (Chuang et al. 2020).

    A negative is of the anchor's class with probability 0.1, the share of each of the ten classes.
    """
    return _pairwise(DebiasedNegSpec(temperature=_TEMPERATURE, tau_plus=0.1))


@recipe(COMPARED, _measured((87.3, 0.3), (72.5, 0.2)), _minutes(4.1))
def hard_negatives_fashion() -> Recipe:
    """SimCLR with debiased and hard negatives (Robinson et al. 2021).

    β = 1 is the best of the authors' values on STL-10.
    """
    return _pairwise(DebiasedNegSpec(temperature=_TEMPERATURE, tau_plus=0.1, beta=1.0))


@recipe(COMPARED, _measured((85.2, 1.5), (71.9, 0.2)), _minutes(4.4))
def debiased_pos_fashion() -> Recipe:
    """SimCLR with debiased positives (Troshestova & Isachenko 2023).

    A candidate is of the anchor's class with probability 0.1, the share of each of the ten classes.
    """
    return _pairwise(DebiasedPosSpec(temperature=_TEMPERATURE, tau_plus=0.1))


@recipe(COMPARED, _measured((85.9, 0.3), (72.3, 0.1)), _minutes(5.6))
def debiased_pos_fashion_grouping() -> Recipe:
    """SimCLR with debiased positives, two grouped (Troshestova & Isachenko 2023).

    Three views of each image (M = 2): the mean of the two positives counts.
    """
    objective = DebiasedPosSpec(temperature=_TEMPERATURE, tau_plus=0.1, positives="grouping")
    return _pairwise(objective, views=3)


@recipe(COMPARED, _measured((85.0, 1.4), (72.6, 0.4)), _minutes(5.8))
def debiased_pos_fashion_combination() -> Recipe:
    """SimCLR with debiased positives, losses combined (Troshestova & Isachenko 2023).

    Three views of each image (M = 2): the mean loss of all pairs of views counts.
    """
    objective = DebiasedPosSpec(temperature=_TEMPERATURE, tau_plus=0.1, positives="combination")
    return _pairwise(objective, views=3)


@recipe(COMPARED, _measured((85.4, 1.4), (72.8, 0.1)), _minutes(3.1))
def decoupled_fashion() -> Recipe:
    """Decoupled contrastive learning (Yeh et al. 2022): no positive in the denominator."""
    return _pairwise(DecoupledSpec(temperature=_TEMPERATURE))


@recipe(COMPARED, _measured((87.2, 0.1), (71.3, 0.2)), _minutes(4.0))
def align_uniform_fashion() -> Recipe:
    """SimCLR's network trained for alignment and uniformity (Wang & Isola 2020)."""
    return _pairwise(AlignUniformSpec(align_weight=1.0, uniform_weight=1.0))


@recipe(COMPARED, _measured((86.0, 0.3), (71.6, 0.5)), _minutes(4.9))
def vicreg_fashion() -> Recipe:
    """SimCLR's network trained with VICReg (Bardes et al. 2022).

    SimCLR's head takes the place of the authors' wider one of three layers.
    """
    return _pairwise(VICRegSpec())


@recipe(COMPARED, _measured((84.2, 0.5), (70.6, 1.0)), _minutes(4.7))
def barlow_fashion() -> Recipe:
    """SimCLR's network trained with Barlow Twins (Zbontar et al. 2021).

    SimCLR's head takes the place of the authors' wider one of three layers.
    """
    return _pairwise(BarlowTwinsSpec())


@recipe(COMPARED, _measured((83.8, 0.6), (68.2, 0.6)), _minutes(3.6))
def moco1_fashion() -> Recipe:
    """MoCo v1: a linear head, temperature 0.07.

    A queue of 16 batches; batch-norm in four parts, as on four devices. Head and temperature alone
    differ from `moco2-fashion`.
    """
    return shared_setup(
        MoCoSpec(
            head="linear", temperature=0.07, queue_size=4096, momentum=0.99, batch_norm_splits=4
        )
    )


@recipe(COMPARED, _measured((85.5, 0.8), (70.2, 0.7)), _minutes(3.7))
def moco2_fashion() -> Recipe:
    """MoCo v2: a hidden layer in the head, temperature 0.2.

    A queue of 16 batches; batch-norm in four parts, as on four devices. v2's views and cosine
    schedule are part of the shared set-up.
    """
    return shared_setup(
        MoCoSpec(projection_hidden=512, queue_size=4096, momentum=0.99, batch_norm_splits=4)
    )


@recipe(COMPARED, _measured((85.4, 0.5), (70.0, 1.0)), _minutes(5.0))
def byol_fashion() -> Recipe:
    """BYOL: no negatives; the target's momentum begins at 0.99.

    Heads of 512 and 128, for 64 features; symmetric views, which are part of the shared set-up.
    """
    return shared_setup(
        BYOLSpec(projection_hidden=512, projection_dim=128, prediction_hidden=512, momentum=0.99)
    )


@recipe(COMPARED, _measured((85.9, 0.7), (68.4, 0.8), untrained=(80.5, 55.9)), _minutes(5.7))
def cpc_fashion() -> Recipe:
    """CPC: each row of patches predicts the rows below it, through a GRU.

    One view in place of the shared set-up's two, and an encoder of patches.
    """
    return shared_setup(
        # Patches of 8 px are moved by up to 2 px: found on training images (docs/log.md).
        CPCSpec(prediction_steps=4, patch_crop=0.75, patch_jitter=0.5),
        # One view, and no jitter: what is drawn once for an image would give all its rows away.
        views=SimCLRViewsSpec(count=1, crop_scale=(0.6, 1.0), blur=0.0, jitter=0.0),
        encoder=PatchGRUSpec(width=16),
    )


@recipe(COMPARED, _measured((88.9, 0.4), (83.9, 0.6)), _minutes(4.6))
def supcon_fashion() -> Recipe:
    """SupCon: contrast with labels."""
    return shared_setup(SupConSpec(temperature=0.1))


@recipe(COMPARED, _measured((89.5, 0.6), (85.8, 0.4)), _minutes(4.0))
def cross_entropy_fashion() -> Recipe:
    """Cross-entropy: the supervised baseline."""
    return shared_setup(CrossEntropySpec())


@recipe(
    LONG_TAIL,
    measured(
        Figure("linear_probe", 80.1, 0.3),
        Figure("linear_probe", 84.9, 1.5, of=SMALLEST),
        examples=10_000,
        seeds=_THREE,
        page=_PAGE,
    ),
    _ANY_RUN,
)
def supcon_fashion_lt() -> Recipe:
    """SupCon on a long tail."""
    return long_tail_setup(SupConSpec(temperature=0.1))


@recipe(LONG_TAIL, _judged_by_classifier((81.1, 0.7), (81.1, 1.2)), _ANY_RUN)
def cross_entropy_fashion_lt() -> Recipe:
    """Cross-entropy on a long tail."""
    return long_tail_setup(CrossEntropySpec())


@recipe(LONG_TAIL, _judged_by_classifier((85.7, 0.8), (91.2, 1.7)), _ANY_RUN)
def balanced_softmax_fashion_lt() -> Recipe:
    """Balanced softmax on a long tail."""
    return long_tail_setup(BalancedSoftmaxSpec())


@recipe(LONG_TAIL, _judged_by_classifier((83.4, 0.5), (88.9, 0.4)), _ANY_RUN)
def paco_fashion_lt() -> Recipe:
    """PaCo on a long tail."""
    # The first class is 40 % of the images: of 1024 keys and 512 rows some 600 are its own, and
    # with alpha 0.001 its positives weigh 0.6 together, as those of CIFAR-100's first class in the
    # paper. 1392 steps are few for the paper's momentum of 0.999, which looks back a thousand.
    return long_tail_setup(PaCoSpec(temperature=0.2, alpha=0.001, queue_size=1024, momentum=0.99))
