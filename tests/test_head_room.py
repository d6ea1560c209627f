"""Head-room of study sets: made of training data alone, run once each, judged by pairs of seeds."""

import itertools
import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image
from scipy import stats
from tools.head_room import __main__ as head_room
from tools.head_room import sets
from tools.head_room.page import change, section
from tools.head_room.runs import SEEDS, VARIANTS, Job, recipe_of, record_of_run
from tools.head_room.sets import SETS, Places, without
from tools.run_records import read_records

from nearfar.data import drawn_characters, fonts
from nearfar.data.font_specs import FontsSpec
from nearfar.data.sources import load_source
from nearfar.data.specs import FolderSpec, NpzSpec

SHIPPED = Path(matplotlib.get_data_path()) / "fonts/ttf"
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Three families of fonts, and five folders of drawings."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "fonts").mkdir()
    for name in ("DejaVuSans.ttf", "DejaVuSerif.ttf", "STIXGeneral.ttf"):
        shutil.copy(SHIPPED / name, folder / "fonts" / name)
    random = np.random.default_rng(0)
    counts = {"animals": 130, "food": 125, "tools": 30, "unsorted": 130, "shapes": 500}
    for name, count in counts.items():
        (folder / "clipart" / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "clipart" / name / f"{number}.png")
    return Places(folder / "fonts", folder / "clipart")


def test_no_family_of_a_test_part_is_drawn_and_none_is_in_two_parts(places, tmp_path, monkeypatch):
    drawn = []

    def noted(families, *given, **more):
        drawn.append({face.sha256 for family in families for face in family})
        return drawn_characters.draw_characters(families, *given, **more)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for module in (sets, fonts):
        monkeypatch.setattr(module, "draw_characters", noted)
    load_source(FontsSpec(root=places.fonts, characters=26, examples=20))
    file = SETS["fonts-4"].made(tmp_path / "sets" / "four.npz", places, 400)
    _, test, fit, judge = drawn
    assert not fit & judge
    assert not test & (fit | judge)
    source = load_source(NpzSpec(root=file))
    assert (len(source.train), len(source.test)) == (400, 100)
    assert source.train.example_shape == (3, 32, 32)
    assert np.bincount(source.test.labels.numpy()).tolist() == [25] * 4
    stamp = file.stat().st_mtime_ns
    SETS["fonts-4"].made(file, places, 400)
    assert file.stat().st_mtime_ns == stamp


def test_drawings_are_of_the_larger_categories_and_of_the_training_part(places):
    found = SETS["clipart"].arrays(places, 10_000)
    # 80 % of 130, of 125 and of 500, the last cut to 300; a quarter of each judges.
    assert np.bincount(found["labels"]).tolist() == [78, 75, 225]
    assert np.bincount(found["test_labels"]).tolist() == [26, 25, 75]
    test = load_source(FolderSpec(root=places.clipart, image_size=32)).test
    judged_later = {each.numpy().tobytes() for each in test.examples.permute(0, 2, 3, 1)}
    looked_at = {each.tobytes() for part in ("images", "test_images") for each in found[part]}
    assert len(looked_at) == 504
    assert not looked_at & judged_later
    few = SETS["clipart"].arrays(places, 150)
    assert len(few["labels"]) in range(148, 153)


def test_a_run_has_what_is_recorded(places, tmp_path):
    job = Job("fonts-2", "supervised", 0, 1, 128)
    file = SETS["fonts-2"].made(tmp_path / "two.npz", places, 128)
    recipe = recipe_of(job, SETS["fonts-2"], file)
    record = record_of_run(job, recipe, tmp_path / "run")
    assert job.key.items() <= record.items()
    assert record["judged"] == 32
    assert set(record["scores"]) == {"knn", "linear_probe", "classifier"}
    assert set(record["scores"]["knn"]) == {"encoder", "raw", "untrained"}
    assert record_of_run(job, recipe, tmp_path / "run") == record  # nothing is run again


def test_a_view_that_is_left_out_is_left_out():
    views = SETS["fonts-62"].views
    full = views.parameters(3, 32)[0]
    assert full.blur and full.jitter and full.grey and full.crop_scale[0] < 1  # noqa: PT018
    colour = without(views, "colour").parameters(3, 32)[0]
    assert (colour.jitter, colour.grey, colour.blur) == (0, 0, full.blur)
    blur = without(views, "blur").parameters(3, 32)[0]
    assert (blur.jitter, blur.grey, blur.blur) == (full.jitter, full.grey, 0)
    crops = without(views, "crops").parameters(3, 32)[0]
    assert (crops.crop_scale, crops.crop_ratio, crops.blur) == ((1, 1), (1, 1), full.blur)


def made_up(job, probes):
    """The record of a run whose probe found so much of a hundred."""
    scores = {
        "knn": {"encoder": {"top1": probes[job.variant] / 100 - 0.05, "form": ""}},
        "linear_probe": {"encoder": {"top1": probes[job.variant] / 100, "form": ""}},
    }
    if job.variant == "supervised":
        scores["knn"] |= {"raw": {"top1": 0.3, "form": ""}, "untrained": {"top1": 0.1, "form": ""}}
        scores["classifier"] = {"encoder": {"top1": 0.6, "form": ""}}
    about = {"judged": 50, "classes": 62, "fitted": 200, "seconds": 60.0, "hardware": "CPU"}
    return {**job.key, **about, "scores": scores}


def records(probes, spread=0.0):
    wobble = itertools.cycle((0.0, spread, -spread))
    found = []
    for job in (Job("fonts-62", v, s, 30, 200) for s in SEEDS for v in VARIANTS):
        shift = next(wobble)
        found.append(made_up(job, {name: value + shift for name, value in probes.items()}))
    return found


PROBES = {
    "supervised": 55,
    "simclr": 40,
    "without colour": 20,
    "without blur": 42,
    "without crops": 31,
}


def test_the_verdict_names_what_is_not_seen():
    page = section(records(PROBES)).splitlines()
    assert page[2] == (
        "| `fonts-62`, 30 epochs | 62 | 200 + 50 | 30.0 (kNN) | 10.0 (kNN) | "
        "60.0 (own classifier) | 30.0 | 35.0 | 40.0 | serves |"
    )
    assert "| 20.0 (−20.0 ± 0.0) | 42.0 (+2.0 ± 0.0) | 31.0 (−9.0 ± 0.0) |" in page[6]
    assert page[-1] == "15 runs, trained in 15 minutes on CPU."
    noisy = section(records(PROBES, spread=0.6))
    assert "has room; not seen: blur" in noisy
    assert "no room" in section(
        [
            {**each, "scores": {**each["scores"], "knn": {"raw": {"top1": 0.5}}}}
            for each in records(PROBES)
        ]
    )
    assert "| 1 runs are missing |" in section(records(PROBES)[:-1])


def test_an_effect_is_that_of_a_paired_t_test():
    before, after = np.random.default_rng(1).normal((50, 53), 2, (3, 2)).T
    found = change(before.tolist(), after.tolist())
    test = stats.ttest_rel(after, before)
    low, high = test.confidence_interval(0.95)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert found.seen is bool(test.pvalue < 0.05)


def test_what_is_recorded_is_not_run_again(places, tmp_path, monkeypatch, capsys):
    ran = []

    def recorded(job, _recipe, _run):
        ran.append(job)
        if len(ran) == 4:
            raise KeyboardInterrupt
        return made_up(job, PROBES)

    monkeypatch.setattr(head_room, "record_of_run", recorded)
    page = tmp_path / "page.md"
    page.write_text("<!-- study-sets -->\n<!-- /study-sets -->\n")
    paths = {"out": tmp_path / "out", "records": tmp_path / "records.jsonl", "page": page}
    words = ["fonts-2", "--epochs", "2", "--images", "128"]
    words += [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    words += ["--places.fonts", str(places.fonts)]
    assert head_room.main(words) == 130
    told = capsys.readouterr()
    assert "15 runs of at most 2 × 128 images: about " in told.out
    assert "stopped; what is done is kept" in told.err
    assert "| 12 runs are missing |" in page.read_text()
    assert head_room.main(words) == 0
    assert len(set(ran)) == 15
    assert len(ran) == 16
    assert "| serves |" in page.read_text()
    assert head_room.main([*words, "--minutes", "0.001"]) == 0
    assert len(ran) == 16
    assert head_room.main(["font-62"]) == 2
    assert "did you mean 'fonts-62'" in capsys.readouterr().err


def test_the_page_holds_the_records_as_they_are():
    recorded = read_records(DOCS / "study_sets_runs.jsonl")
    assert section(recorded) in (DOCS / "study_sets.md").read_text()
