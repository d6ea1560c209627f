"""`nearfar doctor`: what is found, measured and missing; and exit 1 where something is broken."""

import json
from importlib import metadata

import pytest
import torch

from nearfar import installed, machine_memory
from nearfar.cli import doctor, main
from nearfar.installed import extras, install_command, needed, unmet


@pytest.fixture(scope="module")
def found():
    """Measured once."""
    return doctor.examine()


def told(capsys, monkeypatch, found, *words):
    monkeypatch.setattr(doctor, "examine", lambda: found)
    code = main(["doctor", *words])
    return code, capsys.readouterr().out


def package(folder, name, version, *requires):
    """Metadata of a package that is installed in a folder, and nothing else of it."""
    lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    at = folder / f"{name}-{version}.dist-info"
    at.mkdir()
    (at / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines]))


def test_what_a_run_would_choose_is_found_and_measured(found, monkeypatch):
    assert found["broken"] == []
    assert found["versions"]["torch"] == metadata.version("torch")
    computes = found["computes"]
    bf16, order, compiler, triton = computes["fast_paths"]
    assert [each["name"] for each in (bf16, order, compiler, triton)] == [
        "bf16",
        "channels-last",
        "compiler",
        "Triton",
    ]
    assert 0.01 < bf16["times"] < 1000
    assert 0.01 < order["times"] < 1000
    if computes["device"] == "cpu":
        assert bool(bf16["by"]) == (computes["precision"] == "bf16")
        assert not triton["by"]
    assert 1 <= computes["threads"]["chosen"] <= torch.get_num_threads()
    assert 0 < found["memory"]["free"] <= found["memory"]["total"]
    assert 0 < found["disk"]["free"] <= found["disk"]["total"]


def test_threads_are_measured_as_a_run_measures_them_or_told_to_be_set(monkeypatch):
    from nearfar.training.fast_paths import measure
    from nearfar.training.hardware import choose_hardware

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        measured = measure(choose_hardware("cpu", "fp32"))
        assert set(measured.seconds) == {1, 2}
        assert measured.seconds[measured.threads] <= 1.05 * min(measured.seconds.values())
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_json_is_one_object_and_the_table_fits_eighty_columns(found, capsys, monkeypatch):
    code, said = told(capsys, monkeypatch, found, "--json")
    assert code == 0
    assert json.loads(said) == found
    monkeypatch.setenv("COLUMNS", "80")
    code, said = told(capsys, monkeypatch, found)
    assert code == 0
    assert max(map(len, map(str.rstrip, said.splitlines()))) <= 80
    for name in ["torch", "threads", "bf16", "channels-last", "memory", "disk", *extras()]:
        assert any(line.startswith(name) for line in said.splitlines()), name


def test_every_extra_that_is_missing_has_its_command(monkeypatch):
    version = installed.version_of
    monkeypatch.setattr(
        installed, "version_of", lambda name: None if name == "tokenizers" else version(name)
    )
    by_name = {each["name"]: each for each in map(doctor._extra, extras())}
    assert not by_name["text"]["installed"]
    assert by_name["text"]["install"] == install_command("nearfar[text]")
    assert by_name["parquet"]["installed"]
    row = doctor._extra_row(by_name["text"])
    assert row == ("text", f"missing: {install_command('nearfar[text]')}")
    assert "'nearfar[text]'" in row[1]


def test_an_extra_adds_to_what_is_always_needed():
    always = {each.package for each in needed()}
    assert {"torch", "timm", "numpy"} <= always
    for extra in extras():
        added = {each.package for each in needed(extra)}
        assert added
        assert not added & always


def test_a_package_that_is_too_old_or_missing_below_is_told_and_ends_with_1(
    tmp_path, monkeypatch, capsys
):
    package(tmp_path, "timm", "0.1", "a-package-of-nobody>=2")
    monkeypatch.syspath_prepend(tmp_path)
    (asked,) = [each.requirement for each in needed() if each.package == "timm"]
    lines = {each.package: each for each in unmet()}
    assert lines["timm"].version == "0.1"
    assert lines["a-package-of-nobody"].by == "timm"
    monkeypatch.setattr(doctor, "_computes", lambda: None)
    assert main(["doctor"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"timm 0.1: nearfar needs {asked}" in said
    assert "a-package-of-nobody is missing: timm needs a-package-of-nobody>=2" in said


def test_what_a_package_asks_of_an_extra_of_another_is_looked_at(tmp_path, monkeypatch):
    package(tmp_path, "timm", "9.0", "pluto[moons]")
    package(tmp_path, "pluto", "1.0", 'charon; extra == "moons"', 'eris; extra == "far"')
    monkeypatch.syspath_prepend(tmp_path)
    assert {each.package for each in unmet()} == {"charon"}


def test_a_torch_that_does_not_compute_is_told_beside_all_else(monkeypatch, capsys):
    def breaks():
        raise OSError("libtorch_cpu.so: cannot open shared object file\nmore lines")

    monkeypatch.setattr(doctor, "_computes", breaks)
    assert main(["doctor"]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "torch does not compute: libtorch_cpu.so: cannot open shared object file:" in said
    assert "more lines" not in said
    assert "Extras" in said


def test_memory_of_a_group_with_a_limit_is_the_limit(tmp_path, monkeypatch):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("400\n")
    monkeypatch.setattr(machine_memory, "_GROUP", tmp_path)
    assert machine_memory.whole_memory() == 1000
    assert machine_memory.free_memory() == 600
    (tmp_path / "memory.max").write_text("max\n")
    assert machine_memory.whole_memory() > 1000
