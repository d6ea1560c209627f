"""What is said of the package in its files is true; `make wheel` tries the wheel itself."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import yaml

import nearfar

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_citation_names_this_version_and_licence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"] == nearfar.__version__
    assert cited["license"] == PROJECT["license"]
    assert cited["title"] == f"nearfar: {PROJECT['description'].lower()}"
    assert set(cited) >= {"cff-version", "message", "authors"}


def test_the_package_is_typed_and_names_the_pythons_it_runs_on():
    assert (Path(nearfar.__file__).parent / "py.typed").is_file()
    lowest = PROJECT["requires-python"].removeprefix(">=")
    named = re.findall(r":: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert named[0] == lowest
    minors = [int(each.partition(".")[2]) for each in named]
    assert minors == list(range(minors[0], minors[0] + len(minors)))


def test_the_dockerfile_copies_what_is_there_and_installs_extras_that_exist():
    lines = (ROOT / "Dockerfile").read_text()
    copied = [
        word for line in re.findall(r"^COPY (.+)", lines, re.MULTILINE) for word in line.split()
    ]
    sources = [word for word in copied if word not in (".", "./")]
    assert all((ROOT / word).exists() for word in sources)
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], "src"} <= set(sources)
    (extras,) = re.findall(r"^ARG EXTRAS=(.+)", lines, re.MULTILINE)
    assert set(extras.split(",")) <= set(metadata.metadata("nearfar").get_all("Provides-Extra"))
