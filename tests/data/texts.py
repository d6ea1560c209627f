"""Small files of texts."""

from pathlib import Path

GLOSS = "{offset} {label:02d} {kind} {count:02x} {words}000 | {gloss}  \n"
LICENCE = "  1 This software and database is being provided to you, the LICENSEE.  \n"


def write_wordnet(folder: Path, glosses: int = 40) -> Path:
    """Data files in the form of WordNet's, half of their glosses of nouns."""
    folder.mkdir(parents=True, exist_ok=True)
    shares = {"noun": glosses // 2, "verb": glosses // 4, "adj": glosses // 8, "adv": glosses // 8}
    labels = {"noun": (5, 20), "verb": (29, 38), "adj": (0, 44), "adv": (2, 2)}
    for kind, count in shares.items():
        lines = [LICENCE]
        for row in range(count):
            label = labels[kind][row % 2]
            lines.append(
                GLOSS.format(
                    offset=f"{1740 + row:08d}",
                    label=label,
                    kind=kind[0],
                    count=2,
                    words=f"some_{kind}{row}(a) 0 other{row} 0 ",
                    gloss=f'a {kind} of kind {label}; "number {row} is used"',
                )
            )
        (folder / f"data.{kind}").write_text("".join(lines))
    return folder


def write_nouns(folder: Path, count: int = 31) -> Path:
    """A data file of nouns, each of which stands below the one of half its number."""
    lines = [LICENCE]
    for number in range(1, count + 1):
        up = f"001 @ {number // 2:08d} n 0000" if number > 1 else "000"
        said = f'a noun {number}, so to say; "it is used"'
        lines.append(f"{number:08d} 03 n 02 word{number} 0 other 0 {up} | {said}  \n")
    (folder / "data.noun").write_text("".join(lines))
    return folder
