"""`nearfar completion`: the script in the shell itself, asked as a person asks by Tab."""

import re
import shlex
import shutil
import subprocess

import pytest

from nearfar.cli import app, main
from nearfar.cli.arguments import option_names
from nearfar.cli.completion_scripts import script
from nearfar.cli.completion_table import Command, Option, Values, table
from nearfar.cli.train_arguments import TrainArguments
from nearfar.data.specs import SourceSpec
from nearfar.methods.method_spec import MethodSpec
from nearfar.recipes.names import RECIPES

SHELLS = ("bash", "zsh", "fish")
COMMANDS = table(app.COMMANDS)

# zsh's own functions print what they would offer.
ZSH = """
compdef() { : }
compadd() { while [[ $1 == -* && $1 != -- ]] { shift }; [[ $1 == -- ]] && shift; print -l -- $@ }
_describe() { [[ $1 == -o ]] && shift; print -l -- ${(P)2} | sed 's/:.*//' }
_files() { print -l -- *(N) }
compset() { PREFIX=${PREFIX#*=} }
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    for shell in SHELLS:
        (folder / shell).write_text(script(shell, COMMANDS))
    return folder


def asked(shell, scripts, *words):
    """What the shell offers for the last of the words, of which none is quoted."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    source = scripts / shell
    if shell == "bash":
        # bash takes `=` for a word of its own.
        words = [part for word in words for part in re.split("(=)", word) if part or not word]
        code = (
            f"source {source}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
            'complete -p nearfar >&2; _nearfar; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        run = ["bash", "--norc", "-c", code]
    elif shell == "zsh":
        code = (
            f"{ZSH}; words=({shlex.join(words)}); CURRENT={len(words)}; "
            f"PREFIX={shlex.quote(words[-1])}; source {source}; _nearfar"
        )
        run = ["zsh", "-f", "-c", code]
    else:
        line = " ".join(words)
        run = ["fish", "--no-config", "-c", f"source {source}; complete -C {shlex.quote(line)}"]
    done = subprocess.run(
        run, capture_output=True, text=True, timeout=60, cwd=scripts, check=shell != "zsh"
    )
    lines = [line.partition("\t")[0] for line in done.stdout.splitlines() if line]
    if shell != "bash":  # these leave out by themselves what does not begin so
        begun = words[-1].rpartition("=")[2]
        lines = [line for line in lines if line.rpartition("=")[2].startswith(begun)]
    return sorted(line.rpartition("=")[2].strip() for line in lines)


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_options_and_names_are_completed(shell, scripts):
    def offered(*words):
        return asked(shell, scripts, "nearfar", *words)

    assert offered("tra") == ["train", "transfer"]
    assert {"simclr-digits", "simclr-fashion"} <= set(offered("train", "simclr-"))
    assert offered("train", "--method", "mo") == ["moco"]
    assert offered("train", "--method.queue") == ["--method.queue-size"]
    assert offered("train", "--training.optimizer=la") == ["lars"]
    assert offered("export", "run", "--to", "") == ["hub", "onnx", "timm"]
    assert offered("recipes", "simclr-digi") == ["simclr-digits"]
    assert offered("data", "cifar") == ["cifar10", "cifar100"]
    assert offered("completion", "") == ["bash", "fish", "zsh"]
    assert "byol-digits" in offered("train", "--overwrite", "byol-")


@pytest.mark.parametrize("shell", SHELLS)
def test_files_are_offered_where_a_path_may_stand(shell, scripts):
    assert asked(shell, scripts, "nearfar", "evaluate", "") == sorted(SHELLS)
    assert "fish" in asked(shell, scripts, "nearfar", "train", "fi")
    assert asked(shell, scripts, "nearfar", "train", "--config", "ba") == ["bash"]
    assert asked(shell, scripts, "nearfar", "doctor", "") == []
    assert asked(shell, scripts, "nearfar", "train", "--seed", "") == []


def test_every_command_and_every_option_is_in_the_table():
    by_name = {each.name: each for each in COMMANDS}
    assert list(by_name) == list(app.COMMANDS)
    options = {each.name for each in by_name["train"].options}
    known = option_names(TrainArguments)
    for method in MethodSpec.known().values():
        known += option_names(method, "--method.")
    assert {each for each in known if not each.endswith(".name")} - options == {"--no-overwrite"}
    methods = next(each.values for each in by_name["train"].options if each.name == "--method")
    assert methods.names == tuple(MethodSpec.known())
    assert set(by_name["train"].words.names) == set(RECIPES)
    assert by_name["data"].words.names == tuple(SourceSpec.known())


def test_help_that_a_shell_would_read_stays_text_and_foreign_names_are_left_out(
    tmp_path, monkeypatch
):
    nasty = 'it\'s $(touch here) `touch here` \\ "a" [b]:c'
    options = (Option("--out", nasty, Values(files=True)), Option("--help", nasty, None))
    one = Command("train", nasty, options, Values(("a",)))
    for shell in SHELLS:
        (tmp_path / shell).write_text(script(shell, [one]))
        if shutil.which(shell) is not None:
            assert asked(shell, tmp_path, "nearfar", "tr") == ["train"]
            assert asked(shell, tmp_path, "nearfar", "train", "--o") == ["--out"]
    assert not (tmp_path / "here").exists()

    recipes = dict.fromkeys(["good-name", "$(touch here)", "two words", "-dash"])
    monkeypatch.setattr("nearfar.recipes.names.RECIPES", recipes)
    (train,) = table({"train": app.COMMANDS["train"]})
    assert train.words.names == ("good-name",)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_command_prints_the_script_and_nothing_else(shell, scripts, capsys):
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == (scripts / shell).read_text()


def test_another_shell_is_refused(capsys):
    assert main(["completion", "tcsh"]) == 2
    assert "bash" in capsys.readouterr().err
