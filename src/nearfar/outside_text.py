"""Text that came from outside, made safe to print: file names, keys, messages of other libraries.

A terminal obeys what it is sent. A file named with an escape sequence could move the cursor, colour
the screen or hide a line, and one with bidirectional overrides reads backwards. Files (JSON, CSV,
HTML) keep the exact text; what is printed shows such characters by their codes.
"""

_LONGEST = 2000
"""Most characters of one line: a name of a megabyte would push all else off the screen."""

_HARMLESS = frozenset("\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}")
_JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")  # Persian, Hindi, emoji


def first_line(error: BaseException) -> str:
    """What an error of another library says, in one line; its type where it says nothing."""
    said = str(error).strip()
    return said.splitlines()[0] if said else type(error).__name__


def printable(text: str, *, keep: str = "", longest: int = _LONGEST) -> str:
    r"""The text with every character that a terminal would obey, or not show, as its code.

    These are control characters (escape, newline, carriage return, C1), bidirectional overrides and
    other format characters, line separators, lone surrogates (bytes of a file name that are no
    UTF-8), and what Unicode has not assigned. An escape is shown as `\x1b`, a newline as `\n`.
    What is printable already comes back as it is, so calling it twice does no harm.

    Args:
        keep: Characters to leave as they are, such as newlines of our own.
        longest: Characters at most; the middle of a longer text is left out.
    """
    if len(text) > longest:
        half = (longest - 1) // 2
        text = f"{text[:half]}…{text[-half:]}"
    if text.isprintable():
        return text
    return "".join(
        letter
        if letter.isprintable() or letter in keep or letter in _HARMLESS or letter in _JOINERS
        else repr(letter)[1:-1]
        for letter in text
    )
