# %% [markdown]
# # Is my encoder any good?
#
# A high accuracy says little by itself: raw pixels may be as good, and so may the network before
# training. This asks what a single run can answer and what it cannot, on scikit-learn's digits,
# in seconds.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch

import nearfar
from nearfar import Recipe, run_recipe
from nearfar.data.sources import load_source
from nearfar.data.specs import DigitsSpec
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec, KNNSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.evaluation.features import raw_pixels
from nearfar.evaluation.knn import KNNBank
from nearfar.report.uncertainty import wilson_interval
from nearfar.run_folder.folder import RunFolder
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import DigitsViewsSpec

run = Path(tempfile.mkdtemp()) / "digits"
recipe = Recipe(
    data=DigitsSpec(),
    views=DigitsViewsSpec(),
    encoder=SmallResNetSpec(width=16),
    training=TrainingSpec(
        epochs=20, batch_size=256, optimizer=AdamWSpec(learning_rate=3e-3), threads=1
    ),
    evaluation=EvaluationSpec.by(
        KNNSpec(votes=((20, 0.07),)),
        FewLabelsSpec(labels_per_class=(1, 10), draws=5),
        leave_out=("linear_probe", "map", "gallery", "retrieval", "clustering"),
    ),
)
run_recipe(recipe, run)

# %% [markdown]
# ## Beside what?
#
# Every figure stands beside the same figure of raw pixels and of the untrained network. An
# encoder that does not beat both has learnt nothing of use here. Few labels tell more than many:
# with all labels raw pixels of such small images are hard to beat.

# %%
records = RunFolder(run).read_evaluation()
table = {}
for record in records:
    if record["metric"] == "top1":
        row = record["protocol"], record["parameters"].get("labels_per_class", "all")
        table.setdefault(row, {})[record["features"]] = record["value"]
for (protocol, labels), values in table.items():
    shown = ", ".join(f"{name} {100 * value:.1f} %" for name, value in values.items())
    print(f"{protocol} with {labels} labels a class: {shown}")

ten = table["few_labels", 10]
assert ten["encoder"] > ten["untrained"]

# %% [markdown]
# ## More than chance?
#
# 500 test images decide an accuracy to a few points, and no better. Where the intervals of two
# encoders lie over each other, this test set has not told them apart. And the interval is that of
# the test images alone: another seed of the training gives another encoder. Train three or more
# before you believe a difference.

# %%
for name, value in table["knn", "all"].items():
    low, high = wilson_interval(value, 500)
    print(f"{name:>10}: {100 * value:.1f} %, 95 % interval {100 * low:.1f} to {100 * high:.1f}")

# %% [markdown]
# ## Has it collapsed?
#
# An encoder that gives all images the same features has a low loss of some kinds and is
# worthless. Effective rank counts the directions that features use; alignment says how near views
# of one image lie, uniformity how evenly all are spread. A run warns of a collapse in its first
# epochs; this looks at the end.

# %%
encoder = nearfar.load_encoder(run)
source = load_source(DigitsSpec())
with torch.no_grad():
    bank, test = encoder(source.train.examples), encoder(source.test.examples)


def effective_rank(features):
    """Directions that features use: exp of the entropy of their shares of variance."""
    values = torch.linalg.svdvals(features - features.mean(dim=0)).double() ** 2
    shares = values / values.sum()
    return float(torch.exp(-(shares * shares.clamp(min=1e-12).log()).sum()))


rank = effective_rank(bank)
collapsed = bank.mean(dim=0) + 1e-3 * torch.randn(len(bank), 1) * torch.randn(1, bank.shape[1])
flat = effective_rank(collapsed)
print(f"effective rank {rank:.1f} of {bank.shape[1]}; of a collapsed one {flat:.1f}")
assert rank > 3 > flat

# %% [markdown]
# ## What does it get wrong?
#
# Look at mistakes before you tune. Here the test digits that nearest neighbours get wrong, as
# pairs of classes.

# %%
answers = KNNBank(bank, source.train.labels).predict(test, 20, 0.07).argmax(dim=1)
wrong = answers != source.test.labels
pairs = np.stack((source.test.labels[wrong].numpy(), answers[wrong].numpy()), axis=1)
found, counts = np.unique(pairs, axis=0, return_counts=True)
for place in np.argsort(-counts)[:5]:
    true, answer = found[place]
    print(f"{true} taken for {answer}: {counts[place]} times")

pixels, asked = raw_pixels(source.train), raw_pixels(source.test)
plain = KNNBank(pixels, source.train.labels).predict(asked, 20, 0.07).argmax(dim=1)
both = int((wrong & (plain != source.test.labels)).sum())
print(f"{int(wrong.sum())} wrong, {both} of them by raw pixels too")

# %% [markdown]
# The report in the run shows the same with pictures. `nearfar web` browses them: pick a digit
# that is wrong, and see what the encoder takes it for.
