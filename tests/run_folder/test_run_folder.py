import contextlib
import io
import itertools
import json
import os
import pickle
import resource
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.dying import die_at_call

from nearfar.cli.app import main
from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError
from nearfar.run_folder import folder as run_folder
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.manifest import json_checksum, sha256_of
from nearfar.training.config_format import read_config


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs" / "first")


def fill(run: RunFolder) -> None:
    run.write_config({"recipe": "custom"})
    run.write_environment({})
    run.append_metrics({"step": 1})
    add_checkpoint(run, 1)
    run.tensorboard.mkdir()
    (run.tensorboard / f"events.out.tfevents.1.{run.manifest.state().id}").write_text("")
    run.write_report("<p>")


def test_a_new_folder_and_an_empty_one_are_taken(tmp_path):
    RunFolder.create(tmp_path / "a" / "b")
    assert RunFolder.create(tmp_path / "a" / "b").path.is_dir()


def test_a_run_is_not_overwritten_unless_asked(run):
    fill(run)
    with pytest.raises(NearfarError, match=r"holds a run already: .*--resume .*--overwrite"):
        RunFolder.create(run.path)
    with pytest.raises(NearfarError, match="holds a run already"), RunFolder.begun(run.path):
        pass
    assert run.report.exists()


def test_only_what_the_run_wrote_is_replaced(run):
    fill(run)
    others = ["notes.txt", "checkpoints/llm.bin", "thesis.unfinished", "on-mine/x.unfinished"]
    for name in others:
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text("mine")
    with RunFolder.begun(run.path, overwrite=True) as new:
        new.write_config({"recipe": "other"})
        assert len(list(run.path.glob("replaced-*"))) == 1  # the old run, whole
        new.drop_replaced()
    assert files(run) == sorted([*others, ".lock", "run.json", "config.json"])


def files(run: RunFolder) -> list[str]:
    found = (path for path in run.path.rglob("*") if not path.is_dir())
    return sorted(path.relative_to(run.path).as_posix() for path in found)


@pytest.mark.parametrize(
    "names", [["thesis.tex"], ["config.json", "checkpoints/llm.bin"], ["checkpoints/llm.bin"]]
)
def test_a_folder_that_holds_no_run_is_never_overwritten(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    for overwrite in (False, True):
        begun = RunFolder.begun(tmp_path, overwrite=overwrite)
        with pytest.raises(NearfarError, match="choose another --out"), begun:
            pass
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in found) == sorted(names)
    assert all((tmp_path / name).read_text() == "{}" for name in names)


def test_overwriting_does_not_follow_links_out_of_the_folder(run, tmp_path):
    fill(run)
    elsewhere = tmp_path / "elsewhere"
    run.checkpoints.rename(elsewhere)
    (elsewhere / "precious").write_text("x")
    run.checkpoints.symlink_to(elsewhere)
    with RunFolder.begun(run.path, overwrite=True) as new:
        new.drop_replaced()
    assert (elsewhere / "precious").exists()
    assert not run.checkpoints.exists()


@pytest.mark.parametrize("name", ["../precious", "/etc/passwd", "checkpoints/../../precious", ".."])
def test_a_manifest_that_names_files_elsewhere_is_refused(run, tmp_path, name):
    fill(run)
    (tmp_path / "runs" / "precious").write_text("x")
    record = json.loads(run.manifest.path.read_text())
    record["files"][name] = {**record["files"]["config.json"]}
    del record["sha256"]
    record["sha256"] = json_checksum(record)
    run.manifest.path.write_text(json.dumps(record))
    with (
        pytest.raises(NearfarError, match=r"run\.json is damaged"),
        RunFolder.begun(run.path, overwrite=True),
    ):
        pass
    assert (tmp_path / "runs" / "precious").exists()


@pytest.mark.parametrize("error", [ValueError, NearfarError, KeyboardInterrupt, SystemExit])
def test_a_new_run_that_fails_before_its_first_checkpoint_gives_the_old_one_back(run, error):
    fill(run)
    run.write_report("<p>old")
    before = {name: (run.path / name).read_bytes() for name in files(run)}

    def fail():
        with RunFolder.begun(run.path, overwrite=True) as new:
            new.write_config({"recipe": "other"})
            new.append_metrics({"step": 1})
            raise error("no")

    with pytest.raises(error, match="held before is back" if error is NearfarError else "no"):
        fail()
    assert {name: (run.path / name).read_bytes() for name in before} == before
    assert set(files(run)) == {*before, ".lock"}


def test_a_new_run_that_fails_later_stays(run):
    fill(run)

    def fail():
        with RunFolder.begun(run.path, overwrite=True) as new:
            new.write_config({"recipe": "other"})
            add_checkpoint(new, 2)
            new.drop_replaced()
            raise NearfarError("no")

    with pytest.raises(NearfarError, match=r"^no$"):
        fail()
    assert read_config(run) == {"recipe": "other"}


def in_a_child_that_dies_at(run: RunFolder, number: int) -> int:
    """Overwrite the run in a process that is killed before its n-th rename, removal or sync."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    renames = ("fsync", "replace", "mkdir", "rmdir", "unlink", "rename")
    die_at_call(number, [(os, name) for name in renames])
    with contextlib.suppress(NearfarError), RunFolder.begun(run.path, overwrite=True) as new:
        new.write_config({"recipe": "new"})
        if number % 2:
            raise NearfarError("failed early")
        add_checkpoint(new, 7)
        new.drop_replaced()
    os._exit(0)


def add_checkpoint(run: RunFolder, step: int) -> None:
    run.checkpoints.mkdir(exist_ok=True)
    name = f"checkpoints/step-{step:08d}"
    run.manifest.write({f"{name}.safetensors": b"weights", f"{name}.json": b"{}"})


def test_a_kill_at_any_moment_of_overwriting_leaves_one_whole_run(tmp_path):
    ended = [False, False]
    for number in itertools.count():
        run = RunFolder.create(tmp_path / f"run-{number}")
        fill(run)
        (run.path / "notes.txt").write_text("mine")
        old = {name: (run.path / name).read_bytes() for name in files(run)}
        ended[number % 2] |= in_a_child_that_dies_at(run, number) == 0
        with RunFolder.open(run.path).held():
            pass
        assert (run.path / "notes.txt").read_text() == "mine"
        if read_config(run) == {"recipe": "custom"}:
            # No temporary file, no half of the new run.
            assert {name: (run.path / name).read_bytes() for name in old} == old
            assert set(files(run)) <= {*old, ".lock"}
        else:
            assert read_config(run) == {"recipe": "new"}
        # And it can be overwritten like any other.
        with RunFolder.begun(run.path, overwrite=True) as again:
            again.write_config({"recipe": "third"})
            add_checkpoint(again, 1)
            again.drop_replaced()
        left = {"notes.txt", ".lock", "run.json", "config.json"}
        assert set(files(run)) - left <= {
            f"checkpoints/step-00000001.{e}" for e in ("json", "safetensors")
        }
        if all(ended):
            break
    assert number > 20


def test_a_second_process_is_told_who_is_at_it(run):
    run.write_config({})
    with run.held("judging"):
        pid = os.fork()
        if not pid:
            code = 1
            try:
                with RunFolder.begun(run.path, overwrite=True):
                    pass
            except NearfarError as error:
                told = f"another process is judging in {run} (pid {os.getppid()}, since "
                code = 0 if told in str(error) else 2
            os._exit(code)
        assert os.waitpid(pid, 0)[1] == 0
        with run.held("writing"), RunFolder(run.path).held():  # the same thread may
            pass
    with RunFolder(run.path).held():
        pass


def test_two_threads_do_not_write_at_once(run):
    with run.held(), ThreadPoolExecutor(1) as pool:
        held = pool.submit(lambda: run.held().__enter__())
        with pytest.raises(NearfarError, match="another thread of this process"):
            held.result()


def test_a_killed_process_holds_no_lock(run):
    pid = os.fork()
    if not pid:
        with run.held():
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with run.held():
        pass


def test_a_disk_too_full_for_the_lock_is_one_line_and_holds_nothing(run):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(NearfarError, match=r"\.lock: File too large"), run.held():
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    with run.held():
        pass


def test_a_file_in_the_way_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NearfarError, match=r"cannot make the folder .*: File exists"):
        RunFolder.create(tmp_path / "file")


def test_opening_needs_a_run(run, tmp_path):
    with pytest.raises(NearfarError, match="no run folder at"):
        RunFolder.open(tmp_path / "none")
    with pytest.raises(NearfarError, match=r"is not a run folder: it holds no config\.json"):
        RunFolder.open(run.path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(NearfarError, match=r"holds no run\.json.*`nearfar accept "):
        RunFolder.open(tmp_path)
    run.write_config({})
    assert RunFolder.open(run.path).path == run.path


def test_what_is_written_is_read(run):
    content = {"a": [1, 2.5, None], "b": {"c": "é"}}
    run.write_config(content)
    run.write_environment(content)
    run.write_evaluation([content])
    assert read_config(run) == run.read_environment() == content
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


READERS = ["config", "environment", "evaluation", "evaluation_arrays", "metrics"]


def filled(run: RunFolder) -> dict[str, object]:
    run.write_config({"temperature": 0.5})
    run.write_environment({"seconds": 12.5})
    run.write_evaluation([{"value": 0.476}])
    run.write_evaluation_arrays({"a": np.arange(9)})
    run.begin_metrics(0)
    run.append_metrics({"step": 1, "loss": 2.25})
    content = run.metrics.read_bytes()
    run.manifest.grow("metrics.jsonl", size=len(content), sha256=sha256_of(content))
    return {name: getattr(run, f"read_{name}")() for name in READERS}


@pytest.mark.parametrize("name", READERS)
def test_every_single_flipped_bit_of_every_file_is_found(run, name, monkeypatch):
    monkeypatch.setattr("nearfar.run_folder.manifest._PATIENCE", ())
    filled(run)
    path = getattr(run, name)
    whole = path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        for bit in range(8):
            content = bytearray(whole)
            content[place] ^= 1 << bit
            path.write_bytes(content)
            with pytest.raises(NearfarError, match="not as nearfar wrote it: damaged, changed"):
                getattr(run, f"read_{name}")()


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"3"])
def test_a_changed_file_is_one_line_before_and_after_it_is_accepted(run, name, content):
    filled(run)
    path = getattr(run, name)
    path.write_bytes(content)
    with pytest.raises(NearfarError, match=f"nearfar accept .* {path.name}`"):
        getattr(run, f"read_{name}")()
    run.manifest.accept([path.name])
    if name == "metrics":  # no whole line in it
        assert run.read_metrics() == []
        return
    with pytest.raises(NearfarError, match=path.name) as caught:
        getattr(run, f"read_{name}")()
    assert "\n" not in str(caught.value)


def test_another_runs_file_is_refused(run, tmp_path):
    filled(run)
    other = RunFolder.create(tmp_path / "other")
    other.write_evaluation([{"value": 0.99}])
    run.evaluation.write_bytes(other.evaluation.read_bytes())
    with pytest.raises(NearfarError, match="or of another run"):
        run.read_evaluation()


def test_a_file_that_was_put_there_is_refused(run):
    run.evaluation.write_text("[]")
    with pytest.raises(NearfarError, match="not as nearfar wrote it"):
        run.read_evaluation()
    with pytest.raises(NearfarError, match=r"will not replace .*: it is not this run's"):
        run.write_evaluation([])


def test_what_was_changed_and_accepted_is_read(run):
    filled(run)
    run.config.write_text('{"temperature": 0.1}')
    run.manifest.accept(["config.json"])
    assert read_config(run) == {"temperature": 0.1}


def test_a_pipe_in_the_place_of_a_file_does_not_hang(run):
    filled(run)
    run.config.unlink()
    os.mkfifo(run.config)
    with pytest.raises(NearfarError, match="it is not a file"):
        read_config(run)


def test_every_flipped_bit_of_the_manifest_is_found_or_changes_nothing(run):
    run.write_config({})
    whole, state = run.manifest.path.read_bytes(), run.manifest.state()
    damaged = set()
    for place in range(0, len(whole), 3):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        run.manifest.path.write_bytes(content)
        try:
            assert run.manifest.state() == state  # white space
        except NearfarError as error:
            damaged.add("run.json is damaged" in str(error))
    assert damaged == {True}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_between_the_manifest_and_the_file_leaves_a_run_that_is_read(run, when, monkeypatch):
    run.write_config({"a": 1})
    wrote = []

    def die(path, content):
        if path == run.config:
            if when == "after":
                path.write_bytes(content)
            raise SystemExit
        wrote.append(path)
        write_durably(path, content)

    monkeypatch.setattr("nearfar.run_folder.manifest.write_durably", die)
    with pytest.raises(SystemExit):
        run.write_config({"a": 2})
    monkeypatch.undo()
    assert wrote == [run.manifest.path]
    assert read_config(run) == {"a": 1 if when == "before" else 2}
    run.write_config({"a": 3})
    assert read_config(run) == {"a": 3}


def test_accepting_makes_a_run_of_an_earlier_version_one(run, capsys):
    filled(run)
    run.manifest.path.unlink()
    assert main(["accept", str(run.path)]) == 0
    assert "config.json" in capsys.readouterr().out
    assert read_config(RunFolder.open(run.path)) == {"temperature": 0.5}
    run.environment.write_text("{}")
    assert main(["accept", str(run.path)]) == 2
    assert "these are not as nearfar wrote them: environment.json" in capsys.readouterr().err
    assert main(["accept", str(run.path), "environment.json"]) == 0
    assert run.read_environment() == {}
    assert main(["accept", str(run.path), "../precious"]) == 1


def test_accepting_refuses_a_folder_that_is_none_of_ours(tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert main(["accept", str(tmp_path)]) == 1
    assert "does not look like a run" in capsys.readouterr().err
    assert main(["accept", str(tmp_path / "none")]) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


class Trap:
    def __reduce__(self):
        return pytest.fail, ("code from a file was run",)


def test_nothing_from_a_file_is_executed(run):
    with pytest.raises(ValueError, match="holds objects"):
        run.write_evaluation_arrays({"trap": np.array([Trap()], dtype=object)})
    buffer = io.BytesIO()
    np.savez(buffer, trap=np.array([Trap()], dtype=object))
    for content in (pickle.dumps(Trap()), buffer.getvalue()):
        run.manifest.write({"evaluation.npz": content})
        with pytest.raises(NearfarError, match="is damaged"):
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
    run.begin_metrics(0)
    run.append_metrics({"step": 1})
    size = run.metrics.stat().st_size
    run.append_metrics({"step": 2})
    assert run.begin_metrics(size) == b'{"step": 1}\n'
    assert run.begin_metrics(size + 1000) == b'{"step": 1}\n'
    assert run.read_metrics() == [{"step": 1}]
    assert run.metrics.stat().st_size == size == len(json.dumps({"step": 1})) + 1


def test_metrics_that_are_not_those_of_the_checkpoint_need_a_word(run):
    run.begin_metrics(0)
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    content = run.metrics.read_bytes()
    known = {"step": 2, "size": 2 * 12, "sha256": sha256_of(content[:24])}
    assert run.whole_metrics(**known) == 24
    for changed in (content[:20], b"", content.replace(b"1", b"7")):
        run.metrics.write_bytes(changed)
        with pytest.raises(NearfarError, match=r"metrics\.jsonl is not as nearfar wrote it"):
            run.whole_metrics(**known)
    run.metrics.unlink()
    with pytest.raises(NearfarError, match=r"metrics\.jsonl is not as nearfar wrote it"):
        run.whole_metrics(**known)
    # Cut in the middle of a line, and said to be right: what is whole stays, and nothing is glued.
    run.metrics.write_bytes(content[:20])
    run.manifest.accept(["metrics.jsonl"])
    assert run.whole_metrics(**known) == 12
    run.begin_metrics(12)
    run.append_metrics({"step": 3})
    assert run.read_metrics() == [{"step": 1}, {"step": 3}]


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
