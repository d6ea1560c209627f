"""Every snippet and every command in README and docs does what the page says.

```python    runs whole, in an empty folder, and must not fail
```python continues   goes on from the page's snippet before it, in the same process
```python on-runs     runs whole in a folder that holds runs: runs/digits, its copy runs/warm, and
             runs/resnet of a timm/resnet18 with a small stem
```console   lines that begin with `$ ` run in order in one empty folder per page: `nearfar …` in
             this process, `make …` as a dry run (it would run this test), others as they are
```console needs-data   the command's data is not on every machine: it must be refused in one
             line that names what is missing, and no option of it may be unknown
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from nearfar.evaluation.protocol_spec import ProtocolSpec
from nearfar.testing.rank_processes import FORKS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A page's training commands are run as written but for their length.
SHORT = ["--training.epochs", "1", "--training.knn-every", "1"]
# Judging is most of so short a run: the README's is judged by every protocol, all others by one.
JUDGED_BY_NEIGHBOURS = [
    "--evaluation.no-baselines",
    "--evaluation.leave-out",
    *(n for n, each in ProtocolSpec.known().items() if each.by_default and n != "knn"),
]
JUDGED_BY_ALL = ROOT / "README.md"


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language on a page, as (words behind the language, text)."""
    return [
        (match[2].strip(), match[3])
        for match in FENCE.finditer(page.read_text())
        if match[1] == language
    ]


def commands(text: str) -> list[str]:
    """The commands of a console block, continuation lines joined."""
    joined = text.replace("\\\n", " ")
    return [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]


def programs(page: Path) -> list[tuple[str, str]]:
    """The page's snippets with their tags, those that continue another one joined to it."""
    found = []
    for tag, code in blocks(page, "python"):
        assert tag in ("", "continues", "on-runs"), f"{page.name}: {tag}"
        if tag == "continues":
            found[-1] = (found[-1][0], found[-1][1] + code)
        else:
            found.append((tag, code))
    return found


def python_snippets() -> list:
    return [
        pytest.param(tag, code, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, (tag, code) in enumerate(programs(page))
    ]


def pages_with_commands() -> list:
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if blocks(page, "console")
    ]


def run_nearfar(arguments: list[str], *, judged_briefly: bool) -> int:
    """Run the command line in this process and give its exit code."""
    from nearfar.cli import main

    if arguments[0] in ("train", "sweep") and "--resume" not in arguments:
        says_how = any(word.startswith("--evaluation") for word in arguments)
        arguments = [
            *arguments,
            *(SHORT if arguments[0] == "train" else []),
            *(JUDGED_BY_NEIGHBOURS if judged_briefly and not says_how else []),
        ]
    try:
        return main(arguments) or 0
    except SystemExit as stop:
        return int(stop.code or 0)


@pytest.fixture(scope="module")
def folder_with_runs(tmp_path_factory):
    """runs/digits, trained on few images; a copy of it; and runs/resnet with its first weights."""
    from rich.console import Console
    from tests.recipes.small_recipe import small_recipe

    from nearfar.encoders.saved import save_encoder
    from nearfar.encoders.specs import TimmSpec
    from nearfar.recipes.run import run_recipe

    folder = tmp_path_factory.mktemp("with-runs")
    run_recipe(small_recipe(folder), folder / "runs" / "digits", console=Console(quiet=True))
    shutil.copytree(folder / "runs" / "digits", folder / "runs" / "warm")
    config = TimmSpec(name="timm/resnet18", stem="small")
    encoder = config.build((3, 32, 32))
    grey = (0.5, 0.5, 0.5)
    save_encoder(folder / "runs/resnet", encoder, config, shape=(3, 32, 32), mean=grey, std=grey)
    return folder


@pytest.mark.parametrize(("tag", "code"), python_snippets())
def test_snippet_runs(tag, code, tmp_path, request):
    where = request.getfixturevalue("folder_with_runs") if tag == "on-runs" else tmp_path
    if (tag, code) in programs(ROOT / "README.md"):  # all by itself, as a reader begins
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=where, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return
    # In a process of its own too, but one that need not import torch first.
    said = tmp_path / "said.txt"
    process = FORKS.Process(target=_run_snippet, args=(code, where, said))
    process.start()
    process.join()
    assert process.exitcode == 0, said.read_text()


def _run_snippet(code: str, where: Path, said: Path) -> None:
    """Run code as the program of this process, which finds nothing of ours but the package."""
    with said.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(where)
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    tests = ROOT / "tests"
    ours = [path for path in sys.path if Path(path) in (ROOT, tests) or tests in Path(path).parents]
    sys.path[:] = ["", *(path for path in sys.path if path and path not in ours)]
    sys.argv[:] = ["-c"]
    program = ModuleType("__main__")
    sys.modules["__main__"] = program
    exec(compile(code, "<snippet>", "exec"), program.__dict__)


@pytest.mark.parametrize(("tag", "code"), python_snippets())
def test_no_snippet_guards_itself(tag, code):
    """What runs only where a file happens to lie, or hides an error, is not tested at all."""
    for word in (".exists()", ".is_file()", ".is_dir()", "try:", "suppress("):
        assert word not in code


@pytest.fixture
def pictures(tmp_path):
    """What the pages take for granted in the reader's folder: some pictures in class folders."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        if index < 300:
            folder = tmp_path / "pictures" / f"digit-{label}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15.9).astype("uint8")).save(folder / f"{index:04}.png")
    shutil.copy(tmp_path / "pictures" / "digit-3" / "0003.png", tmp_path / "picture.png")
    return tmp_path


@pytest.mark.parametrize("page", pages_with_commands())
def test_commands_run(page, pictures, monkeypatch, capfd):
    monkeypatch.chdir(pictures)
    # What the person at this machine has fetched is not everybody's.
    monkeypatch.setenv("XDG_CACHE_HOME", str(pictures / "cache"))
    # Weights of others are fetched by no test; trying takes most of a minute where there is no net.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for tag, text in blocks(page, "console"):
        for command in commands(text):
            words = shlex.split(command, comments=True)
            capfd.readouterr()
            if words[0] == "make":
                done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True)
                assert done.returncode == 0, done.stderr.decode()
            elif words[0] == "nearfar":
                code = run_nearfar(words[1:], judged_briefly=page != JUDGED_BY_ALL)
                error = capfd.readouterr().err
                if tag == "needs-data":
                    assert code != 0, f"{command}: ran without its data"
                    assert error.count("\n") == 1, error
                    assert "unknown" not in error, error
                    assert "--help)" not in error, error  # the command itself is wrong
                else:
                    assert code == 0, f"{command}\n{error}"
            else:
                done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True)
                assert done.returncode == 0, f"{command}\n{done.stderr}"


@pytest.mark.parametrize("page", [pytest.param(p, id=str(p.relative_to(ROOT))) for p in PAGES])
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_no_file_names_a_package_registry():
    hosts = ["pypi" + ".org", "python" + "hosted.org", "registry.npm" + "js.org"]
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, tracked):
        text = (ROOT / name).read_bytes()
        for host in hosts:
            assert host.encode() not in text, f"{name} names {host}"
