import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nearfar.data.catalogue import SOURCES, check_data_config, download_folder
from nearfar.data.config import DataConfig
from nearfar.data.sources import LOADERS
from nearfar.errors import SettingError


def test_every_listed_source_can_be_loaded_and_the_other_way_round():
    assert set(SOURCES) == set(LOADERS)


def test_every_public_source_says_whose_it_is():
    for name, info in SOURCES.items():
        assert info.summary, name
        assert info.licence, name
        if "your own data" not in info.licence:
            assert info.citation, name
            assert info.home, name
            assert info.classes, name


def test_the_table_and_the_checks_need_no_heavy_import():
    code = (
        "import sys; from nearfar.data.catalogue import check_data_config; "
        "from nearfar.data.config import DataConfig; check_data_config(DataConfig()); "
        "print([m for m in ('torch', 'numpy', 'sklearn', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_defaults_pass():
    check_data_config(DataConfig())
    check_data_config(DataConfig(name="fashion-mnist"))


def test_a_misspelt_source_is_refused_with_the_nearest_name():
    with pytest.raises(SettingError, match="did you mean 'fashion-mnist'"):
        check_data_config(DataConfig(name="fashion_mnist"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test_fraction": 1.0}, "test_fraction"),
        ({"test_fraction": -0.1}, "test_fraction"),
        ({"test_fraction": float("nan")}, "test_fraction"),
        ({"max_corrupt": 1.5}, "max_corrupt"),
        ({"in_memory_mib": -1}, "in_memory_mib"),
        ({"workers": -1}, "workers"),
        ({"train_part": "both"}, "no unlabelled part .*stl10"),
        ({"imbalance_factor": 0.5}, "imbalance_factor=0.5: at least 1"),
        ({"imbalance_factor": float("nan")}, "imbalance_factor"),
        ({"imbalance_factor": float("inf")}, "imbalance_factor"),
        ({"label_noise": 1.1}, "label_noise=1.1: a share"),
        ({"label_noise": float("nan")}, "label_noise"),
        ({"name": "stl10", "train_part": "both", "label_noise": 0.1}, "nothing is learnt from"),
        ({"seed": -1}, "data.seed is -1"),
        ({"download": True}, "cannot be downloaded"),
        ({"image_size": 32}, "keep their own size"),
        ({"fit": "pad"}, "data.fit: the images of digits keep their own shape"),
        ({"channels": 1}, "for the source folder"),
        ({"length": 100}, "for the source wav"),
        ({"name": "wav", "root": Path("/"), "length": 0}, "at least 1 step"),
        ({"label_column": "kind"}, "for the source parquet"),
        ({"root": Path("somewhere")}, "inside a package"),
        ({"name": "folder"}, "needs --data.root"),
        ({"name": "npz"}, "needs --data.root, a file"),
        ({"name": "npz", "root": Path("/nonexistent.npz")}, "no such file"),
        ({"name": "imagenet", "root": Path("/nonexistent")}, "no such folder"),
        ({"name": "cifar10", "root": Path("/nonexistent")}, "no such folder"),
        ({"name": "folder", "root": Path(__file__)}, "a file, where folder needs a folder"),
        ({"name": "folder", "root": Path("/"), "image_size": 0}, "image_size"),
        ({"name": "folder", "root": Path("/"), "channels": 4}, "channels"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(change, words):
    with pytest.raises(SettingError, match=words) as caught:
        check_data_config(replace(DataConfig(), **change))
    assert "\n" not in str(caught.value)


def test_a_missing_root_is_fine_where_the_download_makes_it(tmp_path):
    config = DataConfig(name="cifar10", root=tmp_path / "new", download=True)
    check_data_config(config)
    assert download_folder(config) == tmp_path / "new"


def test_downloads_without_a_root_go_to_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert download_folder(DataConfig(name="stl10")) == tmp_path / "nearfar" / "stl10"
    monkeypatch.delenv("XDG_CACHE_HOME")
    expected = Path.home() / ".cache" / "nearfar" / "stl10"
    assert download_folder(DataConfig(name="stl10")) == expected
