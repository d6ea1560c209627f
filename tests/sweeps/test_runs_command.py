"""`nearfar runs`: every run of a folder in its state, sorted, filtered, as table, JSON and page."""

import json
import subprocess
import sys
import time

import pytest
from tests.sweeps.folders_of_runs import write_run

from nearfar.cli import main
from nearfar.errors import NearfarError
from nearfar.run_folder.folder import RunFolder
from nearfar.run_folder.glance import last_lines
from nearfar.run_folder.lock import is_locked
from nearfar.sweeps.found_runs import find_runs

EVIL = "a\x1b[2Jb<script>[red]\n"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run in each state, one of a sweep, one whose configuration was damaged, and other files."""
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "good-2", seed=1)
    write_run(folder / "good-10", seed=2, knn=0.97)
    write_run(folder / "sweep" / "runs" / "0003-seed-1", knn=None)
    write_run(folder / "cut", epochs=7.5, encoder=False, knn=None)
    write_run(folder / "early", epochs=5, encoder=False, knn=None, last="pruned")
    write_run(folder / "broke", epochs=2, encoder=False, knn=None, last="not_finite")
    write_run(folder / EVIL, epochs=2, encoder=False, knn=None)
    RunFolder.create(folder / "begun")
    write_run(folder / "damaged").config.write_text("{")
    judged = RunFolder.create(folder / "good-2" / "on-others")
    judged.write_evaluation([])
    (folder / "no run").mkdir()
    (folder / "no run" / "config.json").write_text("[]")
    return folder


def listed(capsys, *words):
    assert main(["runs", *map(str, words), "--json"]) == 0
    out = capsys.readouterr().out
    return json.loads(out)


def names(capsys, *words):
    return [each["name"] for each in listed(capsys, *words)]


def test_every_run_is_listed_in_its_state(runs, capsys):
    found = {each["name"]: each for each in listed(capsys, runs)}
    states = {name: each["state"] for name, each in found.items()}
    assert states == {
        "good-2": "finished",
        "good-10": "finished",
        "sweep/runs/0003-seed-1": "trained",
        "cut": "cut",
        "early": "pruned",
        "broke": "diverged",
        EVIL: "cut",
        "begun": "begun",
    }
    assert found["good-10"] == {
        "name": "good-10",
        "recipe": "simclr-digits",
        "method": "simclr",
        "data": "digits",
        "seed": 2,
        "done": found["good-10"]["epochs"],
        "epochs": found["good-10"]["epochs"],
        "state": "finished",
        "check": 91.0,
        "asked": "held out",
        "knn": 97.0,
        "seconds": 60.5,
        "started": "2026-11-03T10:00:00+00:00",
    }
    assert found["cut"]["done"] == 7
    assert found["begun"]["done"] is None


def test_a_broken_folder_is_one_line_and_ends_nothing(runs, capsys):
    assert main(["runs", str(runs), "--json"]) == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "damaged/config.json" in error
    assert main(["runs", str(runs)]) == 0
    told = capsys.readouterr().out
    assert told.count("not read") == 1
    assert "8 runs below" in told
    assert "\x1b" not in told
    assert "\\x1b[2Jb<script>[red]" in told


def test_order(runs, capsys):
    assert names(capsys, runs)[-2:] == ["good-10", "sweep/runs/0003-seed-1"]
    assert names(capsys, runs).index("good-2") < names(capsys, runs).index("good-10")
    assert names(capsys, runs, "--sort", "knn")[:2] == ["good-10", "good-2"]
    # Those without the figure stand last, whichever way.
    assert names(capsys, runs, "--sort", "knn", "--reverse")[:2] == ["good-2", "good-10"]
    assert names(capsys, runs, "--sort", "training.batch-size")[-1] == "begun"


@pytest.mark.parametrize(
    ("conditions", "wanted"),
    [
        (["state=finished"], ["good-2", "good-10"]),
        (["knn>95"], ["good-10"]),
        (["knn<=93", "method=simclr"], ["good-2"]),
        (["name~SWEEP"], ["sweep/runs/0003-seed-1"]),
        (["seed=1"], ["good-2"]),
        (["method!=simclr"], ["begun"]),
        (["method=none"], ["begun"]),
        (["when>=2026-11-03"], ["good-10"]),
        (["training.batch-size<2"], []),
        (["method.objective.name=nt_xent", "check>91"], []),
    ],
)
def test_conditions(runs, capsys, conditions, wanted):
    assert names(capsys, runs, "--filter", *conditions) == wanted


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--filter", "knn"], "write NAME, one of =, !="),
        (["--filter", "knn>high"], "'high' is none"),
        (["--filter", "metod=simclr"], "did you mean 'method'?"),
        (["--sort", "chekc"], "did you mean 'check'?"),
        (["--sort", "zzzzzz"], "choose one of check, data"),
    ],
)
def test_a_wrong_word_is_told_in_one_line(runs, capsys, words, says):
    assert main(["runs", str(runs), *words]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


def test_no_folder(tmp_path, capsys):
    assert main(["runs", str(tmp_path / "none")]) == 1
    assert "no folder at" in capsys.readouterr().err
    assert main(["runs", str(tmp_path)]) == 0
    assert "0 runs below" in capsys.readouterr().out


def test_page_holds_every_run_and_is_escaped(runs, tmp_path, capsys):
    page = tmp_path / "runs.html"
    assert main(["runs", str(runs), "--page", str(page), "--sort", "knn"]) == 0
    assert f"page: {page}" in capsys.readouterr().out
    text = page.read_text()
    assert "8 runs below" in text
    assert text.index("good-10") < text.index("good-2<")
    assert "b<script>[red]" not in text
    assert "b&lt;script&gt;[red]" in text
    assert "1 folder could not be read" in text


def test_a_run_that_is_written_in_is_running(tmp_path):
    run = write_run(tmp_path / "run", knn=None)
    code = (
        "import sys, pathlib\nfrom nearfar.run_folder.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1]), 'training'):\n    print('held', flush=True)\n"
        "    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        other.stdout.readline()
        assert is_locked(run.path)
        assert find_runs(tmp_path)[0][0].state == "running"
        other.communicate()
    assert not is_locked(run.path)
    with run.held():
        assert is_locked(run.path)
        # Looking does not give the lock away.
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run(
                [sys.executable, "-c", code, str(run.path)],
                input=b"",
                capture_output=True,
                check=True,
            )
    assert not is_locked(run.path)


def test_the_last_check_is_found_far_from_the_end(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    step = json.dumps({"kind": "step", "step": 1, "epoch": 1.0, "loss": 1.0, "learning_rate": 0.1})
    check = json.dumps({"kind": "knn", "step": 1, "epoch": 1.0, "top1": 0.5})
    for after in (0, 1, 200, 3000):
        lines = [check, *[step] * after]
        metrics.write_text("\n".join([*[step] * 10, *lines]) + '\n{"kind": "st')
        last, found = last_lines(metrics)
        assert found == json.loads(check)
        assert last == json.loads(lines[-1])
    metrics.write_text(step + "\n")
    assert last_lines(metrics) == (json.loads(step), {})
    assert last_lines(tmp_path / "none") == ({}, {})
    metrics.write_text("[]\n")
    with pytest.raises(NearfarError, match=r"metrics\.jsonl is damaged"):
        last_lines(metrics)


def test_hundreds_of_runs_take_about_a_second(tmp_path):
    write_run(tmp_path / "0", steps=300)
    for number in range(1, 200):
        (tmp_path / str(number)).symlink_to(tmp_path / "0")
    from nearfar.run_folder.glance import glance

    begun = time.process_time()
    for number in range(200):
        glance(tmp_path / str(number))
    # A millisecond or two each; the bound is for a slow machine, not for another order.
    assert time.process_time() - begun < 2
