"""What goes wrong in a command of papers/ or tools/ becomes one line and an exit code."""

from dataclasses import dataclass

import pytest
from tools.command import run_command

from nearfar.errors import SettingError


@dataclass(frozen=True)
class Arguments:
    """A number."""

    number: int = 0


@pytest.mark.parametrize("given", [None, 0, 1])
def test_work_decides_the_exit_code(given):
    seen = []

    def work(arguments):
        seen.append(arguments.number)
        return given

    assert run_command("papers.some", Arguments, work, ["--number", "7"]) == (given or 0)
    assert seen == [7]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingError("number is 7"), 2, "papers.some: number is 7\n"),
        (KeyboardInterrupt(), 130, "papers.some: stopped; what is done is kept\n"),
    ],
)
def test_an_error_or_a_stop_is_one_line(error, code, said, capsys):
    def work(arguments):
        raise error

    assert run_command("papers.some", Arguments, work, []) == code
    assert capsys.readouterr().err == said
