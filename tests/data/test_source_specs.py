"""What each source is and has for settings, and what is refused before anything is read."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from nearfar.data.sources import load_source
from nearfar.data.specs import CIFAR10Spec, DigitsSpec, FolderSpec, SourceSpec, STL10Spec, WineSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.plugins import imported
from nearfar.spec import as_spec

OF_EVERY_SOURCE = {"name", "held_out", "imbalance_factor", "label_noise", "seed", "tail_order"}


@pytest.mark.parametrize("name", SourceSpec.known())
def test_every_source_can_be_loaded_and_says_what_it_is_and_whose(name):
    spec = SourceSpec.named(name)
    assert callable(imported(spec.target))
    assert spec.summary
    assert spec.size
    assert spec.licence
    if "your own data" not in spec.licence and name not in ("fonts", "scenes"):
        assert spec.citation
        assert spec.home
        if name != "nyu-depth-v2":  # whose images are of no classes, and whose split is chosen
            assert spec.classes
            assert spec.train_examples


def test_a_source_has_its_own_settings_and_those_of_every_source():
    assert {each.name for each in fields(DigitsSpec)} == OF_EVERY_SOURCE
    assert {each.name for each in fields(CIFAR10Spec)} == OF_EVERY_SOURCE | {"root", "download"}
    of_files = {"root", "image_size", "fit", "channels", "test_fraction", "max_corrupt"}
    held = {"in_memory_mib", "workers", "pages"}
    assert {each.name for each in fields(FolderSpec)} == OF_EVERY_SOURCE | of_files | held | {
        "pages"
    }
    assert SourceSpec.owners("label_column") == [
        "image-table",
        "parquet",
        "csv",
        "image-parquet",
        "image-arrow",
        "text-table",
        "captioned-table",
        "image-pairs-table",
    ]
    paired = ["captioned-table", "captioned-folder", "webdataset", "openmoji"]
    arrays = ["image-pairs-npz", "series-pairs-npz", "vector-pairs-npz"]
    of_texts = ["wav", "text-lines", "text-table", "wordnet", *paired, *arrays]
    assert SourceSpec.owners("length") == of_texts
    tables = ["parquet", "csv", "vectors-npz", "image-parquet", "image-arrow", "image-tar"]
    partly = ["stl10", "image-table", "npz", "series-npz", *tables, "text-table", *arrays]
    assert SourceSpec.owners("train_part") == partly


def test_the_specs_and_their_checks_need_no_heavy_import():
    code = (
        "import sys; from nearfar.data.specs import DigitsSpec; DigitsSpec().require_root(); "
        "print([m for m in ('torch', 'numpy', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sources_that_need_no_root_pass_without():
    DigitsSpec().require_root()
    SourceSpec.named("fashion-mnist")().require_root()


def test_a_misspelt_source_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'fashion-mnist'"):
        as_spec(SourceSpec, {"name": "fashion_mnist"})


FOLDER, NPZ = {"name": "folder", "root": "/"}, {"name": "npz"}


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {**NPZ, "test_fraction": 1.0},
            r"is 1\.0: it must be 0 or more, and below 1",
        ),
        ({**NPZ, "test_fraction": -0.1}, "test_fraction"),
        ({**NPZ, "test_fraction": float("nan")}, "test_fraction"),
        ({"test_fraction": 0.5}, "digits has no such setting, it belongs to folder, image-table"),
        ({**FOLDER, "max_corrupt": 1.5}, r"max_corrupt is 1\.5: it must be 0 to 1"),
        ({**FOLDER, "in_memory_mib": -1}, "in_memory_mib is -1: it must be 0 or more"),
        ({**FOLDER, "workers": -1}, "workers is -1: it must be 0 to 1,024"),
        ({"train_part": "both"}, "train_part is 'both': digits has no such .* belongs to stl10"),
        ({"imbalance_factor": 0.5}, r"imbalance_factor is 0\.5: it must be 1 or more"),
        ({"imbalance_factor": float("nan")}, "imbalance_factor"),
        ({"imbalance_factor": float("inf")}, "imbalance_factor"),
        ({"label_noise": 1.1}, r"label_noise is 1\.1: it must be 0 to 1"),
        ({"label_noise": float("nan")}, "label_noise"),
        ({"name": "stl10", "train_part": "both", "label_noise": 0.1}, "nothing is learnt from"),
        ({"seed": -1}, "data.seed is -1"),
        (
            {"download": True},
            "is True: digits has no .* belongs to fashion-mnist, cifar10",
        ),
        ({"image_size": 32}, "belongs to imagenet, .*; views.size is the size of a view"),
        ({"name": "wav", "image_size": 32}, "wav has no such .* belongs to imagenet, folder"),
        ({"fit": "pad"}, "data.fit is 'pad': digits has no such .* belongs to imagenet, folder"),
        ({"channels": 1}, "belongs to folder"),
        ({"length": 100}, "belongs to wav"),
        ({"name": "wav", "root": "/", "length": 0}, "length is 0: it must be 1 or more"),
        (
            {"label_column": "kind"},
            "belongs to image-table, .*csv, .*text-table, captioned-table and image-pairs-table",
        ),
        ({"root": "somewhere"}, "data.root: digits is inside a package; leave it out, or say"),
        ({"name": "folder"}, "folder needs --data.root, a folder: a folder of image files"),
        (NPZ, "needs --data.root, a file"),
        ({**NPZ, "root": "/nonexistent.npz"}, "data.root=/nonexistent.npz: no such file"),
        ({"name": "imagenet", "root": "/nonexistent"}, "no such folder"),
        ({"name": "cifar10", "root": "/nonexistent"}, "no such folder"),
        ({"name": "folder", "root": __file__}, "a file, where folder needs a folder"),
        ({**FOLDER, "image_size": 0}, "image_size is 0: it must be 4 to 4,096"),
        ({**FOLDER, "channels": 4}, "unknown data.channels '4': choose one of 1, 3"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(settings, words):
    with pytest.raises(SettingError, match=words) as caught:
        as_spec(SourceSpec, {"name": "digits", **settings}).require_root()
    assert "\n" not in str(caught.value)


def test_a_missing_root_is_fine_where_the_download_makes_it(tmp_path):
    spec = CIFAR10Spec(root=tmp_path / "new", download=True)
    spec.require_root()
    assert spec.folder == tmp_path / "new"


def test_downloads_without_a_root_go_to_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert STL10Spec().folder == tmp_path / "nearfar" / "stl10"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert STL10Spec().folder == Path.home() / ".cache" / "nearfar" / "stl10"


def test_a_loader_that_gives_other_examples_than_its_spec_states_is_named(monkeypatch):
    monkeypatch.setattr(WineSpec, "modality", "series")
    said = r"wine is a source of series, and .*sklearn gave vectors"
    with pytest.raises(NearfarError, match=said):
        load_source(WineSpec())
