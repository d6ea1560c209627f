"""The list: sorted, filtered, bounded, quick with a thousand runs, and told what is broken."""

import os
import threading
import time

import pytest
from web_runs import ask, begin_run, client_of, ids

from nearfar.run_folder import names as names_of_files
from nearfar.run_folder.folder import RunFolder
from nearfar.web.runs_below import RunsBelow

HOSTILE = "<img src=x onerror=alert(1)>"


def rows(client, **parameters):
    return ask(client, "api/runs", **parameters).json()


def names(client, **parameters):
    return [row["cells"][0] for row in rows(client, **parameters)["rows"]]


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    begin_run(folder / "run-10", training={"epochs": 4, "batch_size": 16})
    begin_run(folder / "run-2", training={"epochs": 9, "batch_size": 32})
    begin_run(folder / "inner" / "last", method={"name": "byol"})
    return folder


def test_runs_are_sorted_and_filtered_as_by_nearfar_runs(three):
    client = client_of(three)
    assert names(client) == ["inner/last", "run-2", "run-10"]
    assert names(client, sort="epochs", reverse="") == names(client, sort="epochs")[::-1]
    assert names(client, filter="method=byol") == ["inner/last"]
    assert names(client, filter="run training.batch_size>16") == ["run-2"]
    assert names(client, most="1") == ["inner/last"]
    told = rows(client, filter="run", most="1")
    assert (told["wanted"], told["found"], told["states"]) == (2, 3, "3 cut")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"filter": "knn>x"}, "compares with a number"),
        ({"filter": "mehtod=simclr"}, "method"),
        ({"sort": "wine"}, "wine"),
        ({"most": "-1"}, "most is '-1': it must be a whole number"),
        ({"filter": "method='"}, ""),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_line(three, wrong, said):
    answer = ask(client_of(three), "api/runs", **wrong)
    assert answer.status_code == (400 if said else 200)
    assert said in answer.json().get("error", "")


def test_an_empty_folder_and_one_that_is_a_run(tmp_path):
    assert rows(client_of(tmp_path))["found"] == 0
    begin_run(tmp_path / "alone")
    assert names(client_of(tmp_path / "alone")) == ["alone"]


def test_what_is_broken_is_named_and_hides_nothing_else(tmp_path):
    begin_run(tmp_path / "whole")
    torn = begin_run(tmp_path / "torn")
    torn.config.write_text('{"recipe": ')
    client = client_of(tmp_path)
    found = rows(client)
    assert [row["cells"][0] for row in found["rows"]] == ["whole"]
    assert "torn" in found["broken"][0]


def test_a_run_that_is_held_is_live_with_rate_and_time_left(tmp_path):
    run = begin_run(tmp_path / "live", epochs=4, steps=4)
    with run.held():
        (row,) = rows(client_of(tmp_path))["rows"]
    assert row["state"] == "running"
    # 0.4 of 4 epochs at 10 steps of 16 images an epoch: 576 images are left, at 80 a second.
    assert row["progress"] == {
        "share": pytest.approx(0.1),
        "text": "epoch 0.4 of 4, 80 examples/s, about 7 s left",
    }


def test_a_silent_run_and_one_that_is_judged_are_told(tmp_path):
    run = begin_run(tmp_path / "live", epochs=4)
    with run.held():
        long_ago = time.time() - 600
        os.utime(run.metrics, (long_ago, long_ago))
        client = client_of(tmp_path)
        assert rows(client)["rows"][0]["progress"]["text"].endswith("silent for 10.0 min")
        run.append_metrics(
            {"kind": "step", "step": 40, "epoch": 4.0, "loss": 1.0, "learning_rate": 0.0}
        )
        client = client_of(tmp_path)
        assert "being judged" in rows(client)["rows"][0]["progress"]["text"]


def test_a_thousand_runs_are_listed_in_bounds(tmp_path):
    begun = RunFolder.create(tmp_path / "run-0").manifest.path.read_bytes()
    for number in range(1, 1000):
        place = tmp_path / f"run-{number}"
        place.mkdir()
        (place / names_of_files.MANIFEST).write_bytes(begun)
    answer = ask(client_of(tmp_path), "api/runs")
    found = answer.json()
    assert (len(found["rows"]), found["wanted"], found["found"]) == (200, 1000, 1000)
    assert len(answer.content) < 60_000


def test_runs_that_did_not_change_are_not_read_again(tmp_path, monkeypatch):
    from nearfar.web import runs_below

    read = []
    whole = runs_below.read_row
    monkeypatch.setattr(
        runs_below, "read_row", lambda name, path: read.append(name) or whole(name, path)
    )
    monkeypatch.setattr(runs_below, "_AGE", 0.0)
    monkeypatch.setattr(runs_below, "_SHARE", 0)
    one = begin_run(tmp_path / "one")
    begin_run(tmp_path / "two")
    below = RunsBelow(tmp_path)
    below.listing()
    below.listing()
    assert read == ["one", "two"]
    one.append_metrics({"kind": "step", "step": 9, "epoch": 0.9, "loss": 1.0, "learning_rate": 0.1})
    below.listing()
    assert read == ["one", "two", "one"]


def test_a_slow_look_at_the_folder_holds_nobody_up_but_who_asked(tmp_path, monkeypatch):
    from nearfar.web import runs_below

    begin_run(tmp_path / "one")
    below = RunsBelow(tmp_path)
    below.listing()
    begin_run(tmp_path / "two")
    looking, go = threading.Event(), threading.Event()
    whole = runs_below.run_folders

    def slowly(folder, broken):
        looking.set()
        assert go.wait(20)
        return whole(folder, broken)

    monkeypatch.setattr(runs_below, "run_folders", slowly)
    below._until = 0.0
    asking = threading.Thread(target=below.listing)
    asking.start()
    assert looking.wait(20)
    assert len(below.listing().runs) == 1
    go.set()
    asking.join(timeout=20)
    assert len(below.listing().runs) == 2


@pytest.mark.parametrize("given", ["../one", "/etc/passwd", "..%2f..", "0" * 16, "", "run-2\0"])
def test_a_run_is_asked_for_by_an_id_and_by_nothing_else(three, given):
    answer = ask(client_of(three), "run", given)
    assert answer.status_code == 404
    assert "no such run" in answer.text.lower()


@pytest.mark.parametrize("name", ["config.json", "metrics.jsonl", "encoder.json", "evaluation.npz"])
def test_a_link_that_leads_out_of_the_folder_is_not_read(tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_text('{"kind": "a secret"}\n')
    runs = tmp_path / "runs"
    run = begin_run(runs / "one")
    client = client_of(runs)
    known = ids(client)["one"]
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(outside)
    for path in ("run", "report", "api/curves", "map", "api/search"):
        answer = ask(client, path, known)
        assert answer.status_code == 409, path
        assert "leads out of" in answer.text
        assert "secret" not in answer.text
    later = client_of(runs)
    assert "leads out of" in rows(later)["broken"][0]
    assert rows(later)["rows"] == []


def test_linked_folders_are_not_entered_and_links_within_serve(tmp_path):
    begin_run(tmp_path / "elsewhere" / "one")
    runs = tmp_path / "runs"
    run = begin_run(runs / "two")
    (runs / "link").symlink_to(tmp_path / "elsewhere")
    run.config.rename(runs / "kept.json")
    run.config.symlink_to(runs / "kept.json")
    assert names(client_of(runs)) == ["two"]


def test_hostile_names_and_settings_are_text(tmp_path):
    begin_run(
        tmp_path / HOSTILE.replace("/", "") / "\x1b[31m",
        recipe=HOSTILE,
        data={"name": f"</script>{HOSTILE}"},
    )
    client = client_of(tmp_path)
    found = rows(client)
    ((name, run),) = ids(client).items()
    assert "\x1b" not in name
    assert found["found"] == 1
    for path in ("", "run", "map", "neighbors", "report"):
        assert "<img" not in ask(client, path, run).text
    assert "\x1b" not in ask(client, "run", run).text


def test_a_name_that_is_no_utf8_is_shown_by_its_codes(tmp_path):
    begin_run(tmp_path / os.fsdecode(b"caf\xe9"))
    client = client_of(tmp_path)
    ((name, run),) = ids(client).items()
    assert name == r"caf\udce9"
    assert ask(client, "run", run).status_code == 200
    assert ask(client, "api/curves", run).status_code == 200


def test_a_run_that_disappears_is_told_and_the_others_stay(tmp_path):
    import shutil

    begin_run(tmp_path / "one")
    begin_run(tmp_path / "two")
    client = client_of(tmp_path)
    known = ids(client)
    shutil.rmtree(tmp_path / "one")
    assert ask(client, "run", known["one"]).status_code == 404
    assert ask(client, "api/curves", known["one"]).json() == {
        "error": "there is no such run, or no longer"
    }
    assert ask(client, "run", known["two"]).status_code == 200


def test_looking_writes_nothing(three):
    client = client_of(three)
    seen = [path.stat().st_mtime_ns for path in sorted(three.rglob("*"))]
    for run in ids(client).values():
        for path in ("run", "report", "map", "neighbors", "api/curves", "api/search"):
            ask(client, path, run)
    assert [path.stat().st_mtime_ns for path in sorted(three.rglob("*"))] == seen
