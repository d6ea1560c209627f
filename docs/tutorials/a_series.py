# %% [markdown]
# # A series
#
# Traces of an oscilloscope, without labels: which of them show the same waveform? Each has its own
# frequency, phase and loudness, and noise. Two traces of one waveform are then far apart as they
# stand. SimCLR learns what they share from views that change everything else. The traces are
# generated, so that this runs anywhere and the truth is known; put an array of your own in their
# place.

# %%
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from nearfar import Recipe, run_recipe
from nearfar.data.specs import SeriesNpzSpec
from nearfar.encoders.specs import SeriesResNetSpec
from nearfar.evaluation.accuracy_specs import FewLabelsSpec
from nearfar.evaluation.evaluation_spec import EvaluationSpec
from nearfar.methods.unlabelled_specs import SimCLRSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.training.specs import AdamWSpec, TrainingSpec
from nearfar.views.specs import SeriesViewsSpec

SEEDS = (0, 1, 2)
WAVEFORMS = ("sine", "square", "rising saw", "falling saw", "pulse")
work = Path(tempfile.mkdtemp())


def traces(seed, count, level=0.0):
    """Series of one channel and 96 steps, and which waveform each shows.

    `level` is the deviation of a constant of its own that is added to each trace.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, len(WAVEFORMS), count)
    period, phase = random.uniform(12, 36, (count, 1)), random.uniform(0, 1, (count, 1))
    at = (np.arange(96) / period + phase) % 1
    pulse = np.where(at < 0.15, 2.0, -0.35)
    drawn = np.stack([np.sin(2 * np.pi * at), np.sign(0.5 - at), 2 * at - 1, 1 - 2 * at, pulse])
    clean = drawn[labels, np.arange(count)]
    loudness = np.exp(random.normal(0, 0.4, (count, 1)))
    noisy = loudness * (clean + random.normal(0, 0.5, clean.shape))
    return (noisy + level * random.normal(size=(count, 1)))[:, None], labels


# %% [markdown]
# ## Views
#
# Two views of one trace are pulled near. So a view may change what does not matter, and must keep
# what does. A crop that is stretched to the full length changes frequency and phase; a random
# factor changes the loudness; noise is noise. None of them makes a sine of a square. Were frequency
# what you look for, such crops would destroy it, and `crop_length=(1, 1)` would leave it alone.

# %%
views = SeriesViewsSpec(crop_length=(0.4, 1.0), scaling=0.5, noise=0.3, time_mask=0.0)
others = ("knn", "linear_probe", "effective_rank", "geometry", "map", "gallery")
evaluation = EvaluationSpec.by(
    FewLabelsSpec(labels_per_class=(2, 10), draws=5),
    leave_out=(*others, "retrieval", "clustering"),
)


def train(name, seed, series, labels, test_series, test_labels):
    """The accuracies with few labels: of the encoder, untrained, and of raw series, in per cent."""
    file = work / f"{name}.npz"
    np.savez(file, series=series, labels=labels, test_series=test_series, test_labels=test_labels)
    recipe = Recipe(
        data=SeriesNpzSpec(root=file, held_out=0),
        views=views,
        encoder=SeriesResNetSpec(width=8),
        method=SimCLRSpec(),
        training=TrainingSpec(
            epochs=20,
            batch_size=64,
            optimizer=AdamWSpec(learning_rate=3e-3),
            knn_every=0,
            threads=1,
        ),
        evaluation=evaluation,
        seed=seed,
    )
    run = work / name
    run_recipe(recipe, run, console=Console(quiet=True))
    return {
        (record["features"], record["parameters"]["labels_per_class"]): 100 * record["value"]
        for record in RunFolder(run).read_evaluation()
        if record["protocol"] == "few_labels" and record["metric"] == "top1"
    }


def of_seeds(name, level):
    """One run for each seed, which also draws its traces."""
    return [
        train(f"{name}-{seed}", seed, *traces(seed, 500, level), *traces(1000 + seed, 300, level))
        for seed in SEEDS
    ]


# %% [markdown]
# ## Train, and judge by a few labels
#
# Training sees no label. Two or ten traces of each waveform are then labelled; the mean of five
# such draws is taken. Beside the encoder stand the same network before training, and the raw
# series.


# %%
def show(title, found):
    """Mean and standard deviation over the seeds; gives the means."""
    means = {}
    print(f"{title}: top-1 in %, chance {100 / len(WAVEFORMS):.0f}")
    for features in ("encoder", "untrained", "raw"):
        line = f"{features:>10}:"
        for labels in (2, 10):
            values = np.array([each[features, labels] for each in found])
            means[features, labels] = values.mean()
            line += f"   {labels:2d} labels {values.mean():5.1f} ± {values.std(ddof=1):3.1f}"
        print(line)
    return means


plain_by_seed = of_seeds("plain", 0.0)
plain = show("No level", plain_by_seed)
assert all(
    each["encoder", 10] > each[baseline, 10] + 10
    for each in plain_by_seed
    for baseline in ("untrained", "raw")
)

# %% [markdown]
# ## What gives a series away
#
# Now each trace also has a level of its own, as amplifiers drift. It is the largest part of what
# the numbers hold, so that the untrained network falls as well. And both views of a trace share
# it, while other traces have others: it alone tells which two belong together. The loss can fall
# by it, and waveforms need not be learnt.

# %%
level = show("A level each", of_seeds("level", 3.0))
for title, means in (("No level", plain), ("A level each", level)):
    gained = means["encoder", 10] - means["untrained", 10]
    print(f"{title}: training changes 10 labels by {gained:+.1f} points")

# %% [markdown]
# The cure is to take it away before training, or to draw it anew in each view. The first is one
# line here: without their means these are the traces of the first experiment.

# %%
(drifting, _), (first, _) = traces(0, 500, level=3.0), traces(0, 500)
assert not np.allclose(drifting, first)
drifting, first = (each - each.mean(axis=2, keepdims=True) for each in (drifting, first))
assert np.allclose(drifting, first)
assert plain["encoder", 10] > level["encoder", 10] + 20

# %% [markdown]
# From the shell the same is `nearfar train traces.npz`, which looks at the data and chooses views,
# encoder and length of training; `--views.crop-length 0.4 1` and so on set them. For long series
# whose next steps tell what they are, `--method cpc --encoder series-gru` predicts instead of
# comparing views. Before you believe either: three seeds, raw series and the untrained network
# beside it, as here.
