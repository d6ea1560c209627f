import pickle
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfar.errors import NearfarError, SettingError
from nearfar.outside_text import first_line, printable
from nearfar.training.interruption import Interrupted


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain", "plain"),
        ("", ""),
        ("café × 2 · 你好 – “q” 🙂", "café × 2 · 你好 – “q” 🙂"),
        ("\xa0a\u202f", "\xa0a\u202f"),
        ("می‌خواهم", "می‌خواهم"),  # a joiner that Persian needs
        ("C:\\runs", "C:\\runs"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\rc\td\x07\x08\x0b\x7f\x00", "a\\nb\\rc\\td\\x07\\x08\\x0b\\x7f\\x00"),
        ("\u202egnp.exe\u2069", "\\u202egnp.exe\\u2069"),
        ("a\u2028b\u2029c\ufeff", "a\\u2028b\\u2029c\\ufeff"),
        (b"\xff.png".decode(errors="surrogateescape"), "\\udcff.png"),
        ("\U000e0041", "\\U000e0041"),  # a tag: invisible
    ],
)  # fmt: skip
def test_what_a_terminal_would_obey_is_shown_by_its_code(text, told):
    assert printable(text) == told


@given(st.text(st.characters()))
def test_nothing_that_moves_or_hides_is_left_and_twice_is_once(text):
    told = printable(text)
    assert printable(told) == told
    assert not any(
        unicodedata.category(letter) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for letter in told
    )
    assert not set(told) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")
    told.encode()


def test_newlines_of_our_own_may_stay():
    assert printable("a\nb\x1b", keep="\n") == "a\nb\\x1b"


def test_the_middle_of_a_long_text_is_left_out():
    told = printable("a" * 10**6 + "b" * 10**6, longest=100)
    assert len(told) == 99
    assert told.startswith("a" * 49 + "…b")


@pytest.mark.parametrize("kind", [NearfarError, SettingError])
def test_no_error_holds_what_a_terminal_would_obey(kind):
    error = kind("no file \x1b]0;x\x07\u202e.npz")
    assert str(error) == "no file \\x1b]0;x\\x07\\u202e.npz"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_nor_does_the_end_of_an_interrupted_run():
    assert str(Interrupted("go on with \x1b[2J", 2)) == "go on with \\x1b[2J"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("one\ntwo"), "one"),
        (ValueError("\n  one  \ntwo"), "one  "),
        (OSError(), "OSError"),
        (RuntimeError(" \n"), "RuntimeError"),
    ],
)
def test_an_error_is_told_by_its_first_line_or_its_type(error, said):
    assert first_line(error) == said
