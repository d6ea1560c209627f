"""Whoever reads standard output, or does not, does not decide what becomes of a run."""

import errno
import io
import os
import signal
import subprocess
import sys

import pytest

from nearfar.cli import app
from nearfar.errors import NearfarError
from nearfar.standard_streams import Output
from nearfar.terminal import Terminal

RUN = ["train", "--training.epochs", "1", "--encoder.width", "4", "--training.device", "cpu"]
RUN += ["--evaluation.knn.votes", "5", "0.1", "--evaluation.few-labels.labels-per-class", "1"]
RUN += ["--evaluation.few-labels.draws", "2", "--evaluation.no-baselines"]


def nearfar(words, ending, **settings):
    """A command as a shell runs it, its standard output changed by what stands at its end."""
    command = " ".join([sys.executable, "-m", "nearfar", *words, ending])
    return subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **settings,
    )


class Failing(io.StringIO):
    """A stream that refuses what it is given, at once or when it is sent on."""

    def __init__(self, error, at):
        super().__init__()
        self.error, self.at, self.asked = error, at, 0

    def write(self, text):
        self.asked += 1
        if self.at == "write":
            raise self.error
        return len(text)

    def flush(self):
        if self.at == "flush" and self.asked:
            raise self.error


FULL = OSError(errno.ENOSPC, "No space left on device")
LEFT = BrokenPipeError(errno.EPIPE, "Broken pipe")
GONE = OSError(errno.EIO, "Input/output error")  # a terminal that was closed


@pytest.mark.parametrize("at", ["write", "flush"])
@pytest.mark.parametrize("error", [FULL, LEFT, GONE])
def test_what_goes_on_says_so_once_and_drops_the_rest(error, at, capsys):
    stream = Failing(error, at)
    output = Output(lambda: stream, goes_on=True)
    for _ in range(3):
        assert output.write("line\n") == 5
        output.flush()
    assert stream.asked == 1
    assert not output.isatty()
    lost = f"standard output is lost ({error.strerror}): going on without it (Ctrl-C stops)"
    assert capsys.readouterr().err == f"nearfar: {lost}\n"


@pytest.mark.parametrize("stream", [None, "closed"])
def test_a_closed_one_likewise(stream, capsys):
    if stream == "closed":
        stream = io.StringIO()
        stream.close()
    Output(lambda: stream, goes_on=True).write("line")
    assert capsys.readouterr().err.count("it is closed") == 1
    with pytest.raises(NearfarError, match="cannot write standard output: it is closed"):
        Output(lambda: stream, goes_on=False).write("line")


@pytest.mark.parametrize(
    ("error", "raised"), [(FULL, NearfarError), (LEFT, BrokenPipeError), (GONE, NearfarError)]
)
def test_what_is_the_answer_itself_ends(error, raised):
    stream = Failing(error, "flush")
    with pytest.raises(raised):
        Terminal(file=Output(lambda: stream, goes_on=False)).print("line")


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        (["train"], True),
        (["evaluate", "run"], True),
        (["report", "run"], True),
        (["embed", "run", "--data", "x", "--out=y.npz"], True),
        (["mi", "x", "z", "--out", "folder"], True),
        (["mi", "x", "z"], False),
        (["neighbors", "run", "x.png"], False),
        (["data"], False),
        ([], False),
    ],
)
def test_which_commands_go_on(words, goes_on):
    assert app._writes_files(words) is goes_on


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "why"),
    [
        ("| head -n 1", "Broken pipe"),
        (">&-", "it is closed"),
        ("> /dev/full", "No space left on device"),
    ],
)
def test_a_run_goes_on_without_its_output(tmp_path, ending, why):
    done = nearfar([*RUN, "--out", str(tmp_path / "run")], ending)
    assert done.returncode == 0
    lost = f"nearfar: standard output is lost ({why}): going on without it (Ctrl-C stops)"
    assert done.stderr.splitlines() == [lost]
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.slow
def test_nor_does_it_need_an_error_output(tmp_path):
    done = nearfar([*RUN, "--out", str(tmp_path / "run")], ">&- 2>&- <&-")
    assert done.returncode == 0
    assert (tmp_path / "run" / "report.html").is_file()


@pytest.mark.parametrize(
    ("ending", "code", "told"),
    [
        ("| true", 128 + signal.SIGPIPE, ""),
        (">&-", 1, "nearfar: cannot write standard output: it is closed\n"),
        ("> /dev/full", 1, "nearfar: cannot write standard output: No space left on device\n"),
    ],
)
def test_a_command_whose_answer_is_its_output_ends_as_others_do(ending, code, told):
    words = ["data"]
    if ending == "| true":
        reading, writing = os.pipe()
        os.close(reading)
        with os.fdopen(writing, "w") as closed:
            done = subprocess.run(
                [sys.executable, "-m", "nearfar", *words],
                stdout=closed,
                stderr=subprocess.PIPE,
                text=True,
                check=False,
                timeout=60,
            )
    else:
        done = nearfar(words, ending)
    assert (done.returncode, done.stderr) == (code, told)


def test_signs_that_an_ascii_terminal_lacks_become_plain_ones():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "COLUMNS": "80"}
    done = nearfar(["objectives"], "", env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    wrong = nearfar(["train", "--training.epochs", "—ä"], "", env=environment)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "\\u2014ae" in wrong.stderr


def test_a_caller_in_python_gets_its_streams_back():
    from nearfar.cli import main

    before = sys.stdout, sys.stdout.errors, sys.stderr.errors
    assert main(["--version"]) == 0
    assert (sys.stdout, sys.stdout.errors, sys.stderr.errors) == before
