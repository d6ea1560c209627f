import json
import pickle

import numpy as np
import pytest

from nearfar.errors import NearfarError
from nearfar.training import run_folder
from nearfar.training.run_folder import RunFolder


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs" / "first")


def fill(run: RunFolder) -> None:
    run.write_config({"recipe": "custom"})
    run.write_environment({})
    run.append_metrics({"step": 1})
    run.checkpoints.mkdir()
    (run.checkpoints / "step-00000001.json").write_text("{}")
    run.tensorboard.mkdir()
    run.write_report("<p>")


def test_a_new_folder_and_an_empty_one_are_taken(tmp_path):
    RunFolder.create(tmp_path / "a" / "b")
    assert RunFolder.create(tmp_path / "a" / "b").path.is_dir()


def test_a_run_is_not_overwritten_unless_asked(run):
    fill(run)
    with pytest.raises(NearfarError, match=r"holds a run already: .*--resume .*--overwrite"):
        RunFolder.create(run.path)
    assert run.report.exists()
    (run.path / "notes.txt").write_text("mine")
    RunFolder.create(run.path, overwrite=True)
    assert [path.name for path in run.path.iterdir()] == ["notes.txt"]


def test_a_folder_that_holds_no_run_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "checkpoints").mkdir()
    for overwrite in (False, True):
        with pytest.raises(NearfarError, match="choose another --out"):
            RunFolder.create(tmp_path, overwrite=overwrite)
    assert (tmp_path / "checkpoints").is_dir()


def test_overwriting_does_not_follow_links_out_of_the_folder(run, tmp_path):
    fill(run)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    run.tensorboard.rmdir()
    run.tensorboard.symlink_to(elsewhere)
    RunFolder.create(run.path, overwrite=True)
    assert (elsewhere / "precious").exists()
    assert not run.tensorboard.exists()


def test_a_run_that_failed_at_once_can_be_overwritten(run):
    run.write_config({})
    assert list(RunFolder.create(run.path, overwrite=True).path.iterdir()) == []


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NearfarError, match="cannot make the run folder"):
        RunFolder.create(tmp_path / "file")


def test_opening_needs_a_run(run, tmp_path):
    with pytest.raises(NearfarError, match="no run folder at"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(NearfarError, match=r"is not a run folder: it holds no config\.json"):
        RunFolder.open(run.path)
    run.write_config({})
    assert RunFolder.open(run.path).path == run.path


def test_what_is_written_is_read(run):
    content = {"a": [1, 2.5, None], "b": {"c": "é"}}
    run.write_config(content)
    run.write_environment(content)
    run.write_evaluation([content])
    assert run.read_config() == run.read_environment() == content
    assert run.read_evaluation() == [content]
    arrays = {
        "images": np.arange(6, dtype=np.uint8).reshape(1, 2, 3),
        "names": np.array(["é", "b"]),
    }
    run.write_evaluation_arrays(arrays)
    found = run.read_evaluation_arrays()
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    run.write_report("<p>é")
    assert run.report.read_text(encoding="utf-8") == "<p>é"


def test_missing_files_name_the_command_that_writes_them(run):
    for read, command in [
        (run.read_config, "nearfar train"),
        (run.read_environment, "nearfar train"),
        (run.read_metrics, "nearfar train"),
        (run.read_evaluation, "nearfar evaluate"),
        (run.read_evaluation_arrays, "nearfar evaluate"),
    ]:
        with pytest.raises(NearfarError, match=f"{command}` writes it"):
            read()


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"3"])
def test_damaged_files_are_one_line(run, content):
    for path, read in [
        (run.config, run.read_config),
        (run.environment, run.read_environment),
        (run.evaluation, run.read_evaluation),
        (run.evaluation_arrays, run.read_evaluation_arrays),
    ]:
        path.write_bytes(content)
        with pytest.raises(NearfarError, match=path.name) as caught:
            read()
        assert "\n" not in str(caught.value)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("code from a file was run",)


def test_nothing_from_a_file_is_executed(run):
    with pytest.raises(ValueError, match="holds objects"):
        run.write_evaluation_arrays({"trap": np.array([Trap()], dtype=object)})
    run.evaluation_arrays.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(NearfarError, match="damaged"):
        run.read_evaluation_arrays()
    with run.evaluation_arrays.open("wb") as file:
        np.savez(file, trap=np.array([Trap()], dtype=object))
    with pytest.raises(NearfarError, match="damaged"):
        run.read_evaluation_arrays()


def test_metrics_forgive_a_torn_end_and_nothing_else(run):
    run.append_metrics({"step": 1, "loss": 2.5})
    run.append_metrics({"step": 2, "loss": float("nan"), "top1": float("-inf")})
    whole = [{"step": 1, "loss": 2.5}, {"step": 2, "loss": None, "top1": None}]
    with run.metrics.open("a") as file:
        file.write('{"step": 3, "lo')
    assert run.read_metrics() == whole
    with run.metrics.open("a") as file:
        file.write("\n")
    with pytest.raises(NearfarError, match="damaged at line 3"):
        run.read_metrics()


def test_metrics_are_cut_back_to_a_size(run):
    assert run.metrics_size() == 0
    run.truncate_metrics(0)
    run.append_metrics({"step": 1})
    size = run.metrics_size()
    run.append_metrics({"step": 2})
    run.truncate_metrics(size)
    run.truncate_metrics(size + 1000)
    assert run.read_metrics() == [{"step": 1}]
    assert run.metrics_size() == size == len(json.dumps({"step": 1})) + 1


def test_readers_of_json_refuse_numbers_that_are_none(run):
    with pytest.raises(ValueError, match="JSON"):
        run.write_config({"a": float("nan")})
    assert not run.config.exists()


def test_arrays_that_unpack_to_more_than_an_evaluation_has_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "MOST_EVALUATION_BYTES", 2**20)
    run = RunFolder.create(tmp_path / "run")
    run.write_evaluation_arrays({"zeros": np.zeros(2**17 + 1)})
    assert run.evaluation_arrays.stat().st_size < 2**13
    with pytest.raises(NearfarError, match="1 MiB of arrays, where 1 are the most"):
        run.read_evaluation_arrays()
    run.write_evaluation_arrays({"zeros": np.zeros(2**17)})
    assert len(run.read_evaluation_arrays()["zeros"]) == 2**17
