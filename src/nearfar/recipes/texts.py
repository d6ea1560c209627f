"""Recipes for texts: glosses of WordNet, sentences of novels. Imports nothing heavy."""

from nearfar.data.text_specs import TextLinesSpec, WordNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import NTXentSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.recipes.known import Duration, Family, Figure, knn, measured, recipe
from nearfar.recipes.recipe import Recipe
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SimCSEViewsSpec

TEXTS = Family(
    "Texts",
    data="`make wordnet` fetches WordNet's glosses from Debian's package wordnet-base (6 MB).",
    hardware="one CPU core",
    setup="Tokens are learnt by the extra `text` (pip install 'nearfar[text]').",
)
NOVELS = Family(
    "Texts",
    data="`make novels` fetches Jane Austen's six novels from Debian's package r-cran-janeaustenr "
    "(1.6 MB) and writes them a line a sentence; any folder of text files in order serves.",
    command="nearfar train {name} --data.root ~/.cache/nearfar/novels",
    hardware="one CPU core",
    setup=TEXTS.setup,
)
_EVALUATION = EvaluationSpec.by(
    KNNSpec(votes=((20, 0.07), (200, 0.1))),
    FewLabelsSpec(labels_per_class=(10,)),
    # On all words the probe takes longer than the training; views that are the text itself have
    # no distance; retrieval and map tell no more than kNN.
    leave_out=("linear_probe", "geometry", "retrieval", "map"),
)
_THREAD = "one thread of a busy AMD EPYC with bf16"


@recipe(
    TEXTS,
    measured(
        knn(20, 0.07, 47.3, 1.0, untrained=47.1, raw=54.9),
        Figure("semantic_similarity", 24.7, 1.3, 23.8, 28.6, parameters={"pairs": "pairs.csv"}),
        examples=2_399,
        seeds=(0, 1, 2),
    ),
    Duration(65.0, _THREAD),
)
def simcse_glosses() -> Recipe:
    """SimCSE on glosses of WordNet: both views are the gloss, and dropout makes them differ.

    Gao, Yao and Chen (2021) go on from BERT. From random weights dropout alone teaches next to
    nothing: the encoder stays level with the untrained one, below TF-IDF.

    Semantic similarity is of the pairs that `python -m tools.wordnet_pairs` makes, by
    --evaluation.also semantic_similarity; it is a rank correlation, in hundredths.
    """
    return Recipe(
        data=WordNetSpec(examples=12_000, length=192),
        views=SimCSEViewsSpec(),
        encoder=TextBagSpec(width=128, tokens="bpe", runs=2, dropout=0.2),
        method=SimCLRSpec(objective=NTXentSpec(temperature=0.05), head="identity"),
        training=TrainingSpec(
            epochs=8, batch_size=256, optimizer=AdamWSpec(learning_rate=1e-3), knn_every=0
        ),
        evaluation=_EVALUATION,
    )


@recipe(
    NOVELS,
    measured(
        knn(20, 0.07, 31.4, 0.9, untrained=26.6, raw=40.6),
        Figure(
            "semantic_similarity", 26.3, 1.1, 10.7, 23.1, parameters={"pairs": "novels-pairs.csv"}
        ),
        examples=5_625,
        seeds=(0, 1, 2),
    ),
    Duration(163.0, _THREAD),
)
def quickthought_novels() -> Recipe:
    """Quick-Thought on novels: a sentence and the one before or after it, among all of a batch.

    Logeswaran and Lee (2018) have two GRUs, for either side, whose outputs meet in dot products;
    here one bag of tokens sees both sides, cosines are divided by 0.1, and a batch is drawn from
    all novels, where theirs is a stretch of text.

    Semantic similarity is of the pairs of sentences that `make novels` writes: whether they follow
    each other, in chapters that were not learnt from. It is run by --evaluation.also
    semantic_similarity, and is a rank correlation, in hundredths.
    """
    return Recipe(
        data=TextLinesSpec(neighbours=1, length=192),
        views=SimCSEViewsSpec(),
        encoder=TextBagSpec(width=128, tokens="bpe", vocabulary=2048, runs=2),
        method=SimCLRSpec(objective=NTXentSpec(temperature=0.1), head="identity"),
        training=TrainingSpec(
            epochs=10, batch_size=256, optimizer=AdamWSpec(learning_rate=3e-3), knn_every=0
        ),
        evaluation=_EVALUATION,
    )
