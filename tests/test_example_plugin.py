"""The example package in examples/plugin: what it adds is chosen, listed, trained and checked.

It is installed as pip would leave it: its modules and its metadata lie on the path.
"""

import json
import sys
import tomllib
from pathlib import Path

import pytest

from nearfar import plugins
from nearfar.cli import main
from nearfar.data.specs import SourceSpec
from nearfar.encoders.specs import EncoderSpec
from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.methods.objective_specs import ObjectiveSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.testing import check_method, check_objective

EXAMPLE = Path(__file__).parents[1] / "examples" / "plugin"
ADDED = {
    ObjectiveSpec: "spectral",
    MethodSpec: "simsiam",
    EncoderSpec: "plain-convnet",
    SourceSpec: "iris",
    ProtocolSpec: "entropy_rank",
}


def entry_points() -> str:
    """The package's entry points as its metadata would hold them."""
    groups = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]["entry-points"]
    lines = []
    for group, entries in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    return "\n".join(lines)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The package as installed, until the test is over."""
    metadata = tmp_path / "site" / "nearfar_example-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: nearfar-example\nVersion: 0.1.0"
    )
    (metadata / "entry_points.txt").write_text(entry_points())
    monkeypatch.syspath_prepend(metadata.parent)
    monkeypatch.syspath_prepend(EXAMPLE / "src")
    plugins.load_plugins.cache_clear()
    yield
    for kind, name in ADDED.items():
        kind.choices.pop(name, None)
    for module in [name for name in sys.modules if name.partition(".")[0] == "nearfar_example"]:
        del sys.modules[module]
    plugins.load_plugins.cache_clear()


@pytest.mark.usefixtures("installed")
def test_all_that_it_adds_is_known_and_listed(capsys):
    for kind, name in ADDED.items():
        assert name in kind.known()
    for command, name in {
        "objectives": "spectral",
        "methods": "simsiam",
        "data": "iris",
        "protocols": "entropy_rank",
    }.items():
        assert main([command, "--json"]) == 0
        assert name in capsys.readouterr().out
        assert main([command, name]) == 0
        assert name in capsys.readouterr().out


@pytest.mark.usefixtures("installed")
def test_its_objective_passes_every_check():
    from nearfar_example.spectral import spectral

    def slow(first, second, *, weight):
        dots = (first @ second.T).tolist()
        count = len(dots)
        apart = sum(dots[i][j] ** 2 for i in range(count) for j in range(count) if i != j)
        together = sum(dots[i][i] for i in range(count))
        return weight * apart / (count * (count - 1)) - 2 * together / count

    check_objective(
        spectral, settings={"weight": 0.7}, slow=slow, rotated=(0, 1), linear_memory=True
    )


@pytest.mark.usefixtures("installed")
def test_its_method_passes_every_check():
    from nearfar_example.specs import SimSiamSpec

    check_method(SimSiamSpec(projection_dim=6, prediction_hidden=3))


@pytest.mark.usefixtures("installed")
def test_a_run_of_its_method_backbone_and_protocol_is_trained_judged_and_shown(tmp_path, capsys):
    words = ["--method", "simsiam", "--method.projection-dim", "16"]
    words += ["--method.prediction-hidden", "8", "--encoder", "plain-convnet"]
    words += ["--encoder.width", "4", "--training.epochs", "1", "--training.device", "cpu"]
    words += ["--evaluation.leave-out", "few_labels", "linear_probe", "map", "gallery"]
    assert main(["train", "simclr-digits", *words, "--out", str(tmp_path / "run")]) == 0
    assert "Entropy rank" in capsys.readouterr().out
    run = RunFolder.open(tmp_path / "run")
    found = [each for each in run.read_evaluation() if each["protocol"] == "entropy_rank"]
    assert {each["features"] for each in found} == {"encoder", "untrained"}
    assert all(1 <= each["value"] <= 16 for each in found)
    assert "Entropy rank" in run.report.read_text()
    assert run.read_config()["method"]["name"] == "simsiam"


@pytest.mark.usefixtures("installed")
def test_its_objective_and_source_train_too(tmp_path):
    words = ["--data", "iris", "--method.objective", "spectral", "--training.epochs", "1"]
    words += ["--training.batch-size", "16", "--training.device", "cpu", "--encoder.width", "8"]
    words += ["--evaluation.leave-out", "few_labels", "linear_probe", "map", "gallery"]
    assert main(["train", "simclr-wine", *words, "--out", str(tmp_path / "run")]) == 0
    config = RunFolder.open(tmp_path / "run").read_config()
    assert config["data"]["name"] == "iris"
    assert config["method"]["objective"] == {"name": "spectral", "weight": 1.0}
    assert json.loads((tmp_path / "run" / "evaluation.json").read_text())


@pytest.mark.usefixtures("installed")
def test_its_settings_are_refused_like_any_other(capsys):
    assert main(["train", "--method", "simsiam", "--method.projection-dim", "0"]) == 2
    assert "method.projection_dim is 0: it must be 1 to 65,536" in capsys.readouterr().err
