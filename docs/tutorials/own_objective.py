# %% [markdown]
# # A new objective of your own
#
# An objective is a function of the embeddings of two views, `(batch, dim)` each, to a scalar.
# This one pulls an example's views together as InfoNCE does, but compares with the mean of the
# negatives and not with their sum:
#
#     L = mean over i of  log( mean over j ≠ i of exp(s_ij / τ) )  −  s_ii / τ
#
# Equal embeddings cost 0, whatever the batch. `logsumexp` computes the sum by tiles, so that
# memory grows with the batch and not with its square; `Pairs` says which pairs take part.

# %%
import math
import tempfile
from pathlib import Path
from typing import Literal

import torch

from nearfar import Recipe, run_recipe
from nearfar.data.specs import DigitsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.accuracy_specs import KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.objective_specs import ObjectiveSpec, Temperature
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.objectives.checks import require_pairs, require_several
from nearfar.objectives.precision import unit_rows, without_autocast
from nearfar.run_folder.folder import RunFolder
from nearfar.similarity.logsumexp import logsumexp
from nearfar.similarity.pairs import Pairs
from nearfar.testing import check_objective
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import DigitsViewsSpec


def mean_contrast(first, second, *, temperature=0.2):
    """How much better its own other view fits an example than those of others, in nats."""
    require_pairs(first, second)
    require_several(first, "mean_contrast")
    with without_autocast(first):
        first, second = unit_rows(first), unit_rows(second)
        others = logsumexp(first, second, scale=1 / temperature, pairs=Pairs.all_but_own(first))
        own = (first * second).sum(dim=1) / temperature
        return (others - math.log(len(first) - 1) - own).mean()


# %% [markdown]
# ## Try it before you train
#
# First what you know of it: views that agree cost less than views that do not, and equal ones
# cost 0.

# %%
torch.manual_seed(0)
view = torch.randn(64, 16)
agree = mean_contrast(view, view + 0.1 * torch.randn(64, 16))
differ = mean_contrast(view, torch.randn(64, 16))
print(f"views that agree: {agree:.2f} nats, views that do not: {differ:.2f}")
assert agree < differ - 2
assert abs(mean_contrast(torch.ones(8, 4), torch.ones(8, 4))) < 1e-5

# %% [markdown]
# Then what is easily wrong. `check_objective` tries the gradient against finite differences,
# second derivatives, the order of the examples, rows of zeros, numbers that are not finite,
# batches that are too small, low precision, and tiles against the whole matrix. What fails is
# named, with the numbers. `slow` is the equation as plain loops; `scaled` says that the length of
# a row of either input does not matter.


# %%
def by_loops(first, second, *, temperature=0.2):
    """The same on lists of Python's numbers."""

    def cosine(a, b):
        length = math.hypot(*a) * math.hypot(*b)
        return sum(x * y for x, y in zip(a, b, strict=True)) / length

    total = 0.0
    for i, row in enumerate(first):
        others = [math.exp(cosine(row, b) / temperature) for j, b in enumerate(second) if j != i]
        total += math.log(sum(others) / len(others)) - cosine(row, second[i]) / temperature
    return total / len(first)


check_objective(mean_contrast, slow=by_loops, scaled=(0, 1), linear_memory=True, ranks=False)
print("all properties hold")

# %% [markdown]
# ## Choose it by its name
#
# A spec names the function and its settings, with their bounds; defining it is what registers it.
# In a notebook the function's module is `__main__`. In a package of your own it is the package,
# and `nearfar train --method.objective mean_contrast` finds it by an entry point.


# %%
class MeanContrastSpec(ObjectiveSpec):
    """Its own other view near, the mean of the others far."""

    function = "__main__:mean_contrast"

    name: Literal["mean_contrast"] = "mean_contrast"
    temperature: Temperature = 0.2
    """Divides cosine similarities."""


assert "mean_contrast" in ObjectiveSpec.known()

# %% [markdown]
# ## Train with it
#
# A few epochs on scikit-learn's digits, judged by nearest neighbours beside raw pixels and the
# untrained network.

# %%
recipe = Recipe(
    data=DigitsSpec(),
    views=DigitsViewsSpec(),
    encoder=SmallResNetSpec(width=16),
    method=SimCLRSpec(objective=MeanContrastSpec(temperature=0.5)),
    training=TrainingSpec(
        epochs=20, batch_size=256, optimizer=AdamWSpec(learning_rate=3e-3), threads=1
    ),
    evaluation=EvaluationSpec.by(
        KNNSpec(votes=((20, 0.07),)), leave_out=("few_labels", "linear_probe", "map")
    ),
)
run = Path(tempfile.mkdtemp()) / "mean-contrast"
run_recipe(recipe, run)

accuracy = {
    record["features"]: record["value"]
    for record in RunFolder(run).read_evaluation()
    if record["protocol"] == "knn" and record["metric"] == "top1"
}
print({features: f"{100 * value:.1f} %" for features, value in accuracy.items()})
assert accuracy["encoder"] > 0.9

# %% [markdown]
# Twenty epochs show that it learns, not that it is better than another. For that, train both with
# several seeds and the same set-up (`nearfar sweep`), and compare the difference with its spread.
