"""What must answer at once imports nothing heavy. Seconds depend on the machine; imports do not."""

import subprocess
import sys
from pathlib import Path

import pytest

import nearfar

HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy", "pandas", "plotly", "tensorboard")

RUN = """
import sys
from pathlib import Path
from nearfar.cli import main
try:
    main({words!r})
except SystemExit:
    pass
print("imported:", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


def heavy_imports(code: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stderr.splitlines()[-1].split()[1:]


def test_importing_the_package_imports_nothing_heavy():
    code = f"""
import sys, nearfar
nearfar.__version__, nearfar.Recipe
print("imported:", *(name for name in {HEAVY!r} if name in sys.modules), file=sys.stderr)
"""
    assert heavy_imports(code) == []


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["train", "--training.epocs", "3"],
        ["train", "simclr-digit"],
        ["train", "--method.objective.temperature", "0"],
        ["train", "--training.batch-size", "5000"],
        ["train", "--encoder.name", "timm/resnt50"],
        ["train", "--views", "simcrl"],
        ["train", "--data.name", "digts"],
        ["evaluate", "no/such/run"],
        ["embed", "no/such/run", "--data", ".", "--out", "vectors.csv"],
        ["web", "--help"],
        ["web", "no/such/folder"],
        ["mi", "--help"],
        ["mi", "x.npy", "z.npy", "--bounds", "infonce"],
        ["data", "digits"],
        ["recipes"],
        ["recipes", "simclr-digits"],
        ["recipes", "simclr-digts"],
        ["methods", "simclr"],
        ["protocols", "knn"],
        ["train", "--evaluation.knn.votes", "0", "0.1"],
        ["completion", "bash"],
        ["objectives"],
        ["objectives", "--json"],
        ["runs", "no/such/folder"],
        ["sweep", "--help"],
        ["sweep", "simclr-digits", "--over", "training.batchsize", "64"],
        ["studies"],
        ["runs", ".", "--sort", "chekc"],
    ],
    ids=" ".join,
)
def test_help_and_refusals_do_not_wait_for_torch(words):
    assert heavy_imports(RUN.format(words=words, heavy=HEAVY)) == []


def test_the_check_sees_an_import():
    code = "import sys, wave; print('imported:', *({'wave'} & sys.modules.keys()), file=sys.stderr)"
    assert heavy_imports(code) == ["wave"]


def test_each_module_of_settings_can_be_imported_first():
    """They register each other's kinds when they are imported, which makes circles possible."""
    source = Path(nearfar.__file__).parent
    modules = sorted(
        ".".join(("nearfar", *path.relative_to(source).with_suffix("").parts))
        for path in source.rglob("*_specs.py")
    )
    code = f"""
import sys
from pathlib import Path
from importlib import import_module
for module in {modules!r}:
    for name in [name for name in sys.modules if name.split(".")[0] == "nearfar"]:
        del sys.modules[name]
    import_module(module)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr.splitlines()[-1]
