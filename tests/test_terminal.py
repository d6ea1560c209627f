import io
import re
from pathlib import Path

import pytest
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

import nearfar
from nearfar.standard_streams import reasonable_width
from nearfar.terminal import Terminal, shown

HOSTILE = "a\x1b]0;evil\x07[red]\u202e:heart:\nb\r"
TOLD = "a\\x1b]0;evil\\x07[red]\\u202e:heart:\\nb\\r"
SOURCE = Path(nearfar.__file__).parent


def printed(*things, width=80):
    file = io.StringIO()
    Terminal(file=file, width=width).print(*things)
    return file.getvalue()


def table(cell):
    found = Table(box=None)
    found.add_column()
    found.add_row(cell)
    return found


def test_text_from_outside_is_one_line_and_means_nothing():
    assert printed(f"[bold]{shown(HOSTILE)}[/bold]") == f"{TOLD}\n"


@pytest.mark.parametrize("wrapped", [shown, Text, lambda text: text.replace("[red]", "")])
@pytest.mark.parametrize("put", [lambda each: each, table, lambda each: Padding(each, 1)])
def test_even_what_was_forgotten_does_not_reach_the_terminal(wrapped, put):
    told = printed(put(wrapped(HOSTILE)))
    assert "\\x1b]0;evil" in told
    assert not set(told) & set("\x1b\x07\r\u202e")


def test_a_word_in_colour_and_the_text():
    file = io.StringIO()
    Terminal(file=file, width=80).say("note", [HOSTILE, "plain [1]"])
    assert file.getvalue() == f"note  {TOLD}\nnote  plain [1]\n"


def test_rows_stay_in_line():
    found = Table(box=None, pad_edge=False)
    found.add_column("file")
    found.add_column("n")
    found.add_row(shown(HOSTILE), "1")
    found.add_row("b", "2")
    lines = printed(found).splitlines()
    assert len({line.rstrip()[-1:] and len(line.rstrip()) for line in lines}) == 1


def test_colours_of_our_own_stay():
    file = io.StringIO()
    terminal = Terminal(file=file, width=80, force_terminal=True, color_system="standard")
    terminal.print("[red]x[/red]")
    assert file.getvalue() == "\x1b[31mx\x1b[0m\n"


@pytest.mark.parametrize(("asked", "given"), [(1, 40), (39, 40), (40, 40), (80, 80), (10**9, 500)])
def test_a_width_within_reason(monkeypatch, asked, given):
    assert reasonable_width(asked) == given
    monkeypatch.setenv("COLUMNS", str(asked))
    assert Terminal(file=io.StringIO()).width == given


def test_there_is_one_door():
    """No file but the door's makes a console, prints, or escapes markup on its own."""
    for file in SOURCE.rglob("*.py"):
        if file.name in ("terminal.py", "standard_streams.py", "app.py"):
            continue
        code = file.read_text()
        assert not re.search(r"(?<![\w.])Console\(", code), file
        assert "rich.markup" not in code, file
        assert "sys.stdout" not in code, file
        assert not re.search(r"(?<![\w.`])print\(", code), file
