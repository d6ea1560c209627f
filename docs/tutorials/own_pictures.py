# %% [markdown]
# # Your own pictures in ten minutes
#
# A folder of pictures, no labels: which of them are alike, and which stand in the wrong folder?
# The pictures here are drawn, so that this runs anywhere. Put the path of your own folder in
# their place.

# %%
import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from nearfar.cli import main
from nearfar.run_folder.folder import RunFolder
from nearfar.uses.features_file import load_features
from nearfar.uses.neighbors import find_neighbors
from nearfar.uses.suspects import find_suspects

work = Path(tempfile.mkdtemp())
pictures = work / "pictures"
random = np.random.default_rng(0)


def draw(kind):
    """One shape of a random size, place and colour on a coloured ground."""
    ground = tuple(random.integers(150, 255, 3).tolist())
    ink = tuple(random.integers(0, 110, 3).tolist())
    image = Image.new("RGB", (32, 32), ground)
    pen = ImageDraw.Draw(image)
    x, y = random.integers(11, 21, 2).tolist()
    r = int(random.integers(6, 10))
    if kind == "ring":
        pen.ellipse((x - r, y - r, x + r, y + r), outline=ink, width=3)
    elif kind == "bar":
        pen.rectangle((x - r, y - 2, x + r, y + 2), fill=ink)
    else:
        pen.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=ink)
    return image


for kind in ("ring", "bar", "triangle"):
    (pictures / kind).mkdir(parents=True)
    for number in range(100):
        draw(kind).save(pictures / kind / f"{number}.png")
# One picture in the wrong folder, as happens.
draw("bar").save(pictures / "ring" / "misplaced.png")

# %% [markdown]
# ## Train
#
# `nearfar train PATH` looks at the pictures, chooses what fits them and this machine, and says
# why. Without `--training.epochs` it takes ten minutes; `--minutes 3` takes three. Some
# judgements are left out here, to be quick. The same from the shell: `nearfar train pictures
# --out runs/pictures`.

# %%
run = work / "run"
words = ["train", str(pictures), "--out", str(run), "--training.epochs", "60"]
quick = ["--evaluation.leave-out", "few_labels", "map", "geometry"]
assert main([*words, "--training.threads", "1", *quick]) == 0

# %% [markdown]
# ## Is it any good?
#
# The folders are labels that training never saw. The encoder is worth its time where it beats the
# raw pixels and the same network before training. `report.html` in the run shows this at length.

# %%
accuracy = {}
for record in RunFolder(run).read_evaluation():
    if record["protocol"] == "knn" and record["metric"] == "top1":
        accuracy.setdefault(record["features"], record["value"])
for features, value in accuracy.items():
    print(f"{features:>10}: {100 * value:.1f} %")
assert accuracy["encoder"] > accuracy["raw"]

# %% [markdown]
# ## What is alike
#
# Features of all pictures, and for one of them its nearest others. In a notebook the strip is
# shown: the first picture, then its neighbours.

# %%
saved = work / "features.npz"
assert main(["embed", str(run), "--data", str(pictures), "--out", str(saved)]) == 0

features = load_features(saved)
nearest = find_neighbors(features.features, k=8)
asked = list(features.names).index("ring/0.png")
names = [features.names[asked], *(features.names[row] for row in nearest.rows[asked].tolist())]
print(names)

strip = Image.new("RGB", (34 * len(names), 32), "white")
for place, name in enumerate(names):
    strip.paste(Image.open(pictures / name), (34 * place, 0))
strip

# %% [markdown]
# ## What stands in the wrong folder
#
# The name of a picture begins with its folder. `find_suspects` names the pictures whose
# neighbours are of another one. On data that are harder than these there are false alarms among
# them: the list is what to look at first.

# %%
folders = [name.split("/")[0] for name in features.names]
classes = sorted(set(folders))
labels = torch.tensor([classes.index(each) for each in folders])
suspects = find_suspects(features.features, labels)
told = [features.names[row] for row in suspects.rows.tolist()]
print(told[:10])
assert "ring/misplaced.png" in told

# %% [markdown]
# From the shell, with a page of pictures: `nearfar suspects`, `duplicates`, `outliers` and
# `select` take what `nearfar embed RUN --data folder --data.root pictures --out features.npz`
# writes.
