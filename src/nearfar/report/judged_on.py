"""Which runs may be ranked together: those that were judged on the same data, split alike."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_uppercase

from nearfar.report.run_files import RunFiles


@dataclass(frozen=True)
class Ground:
    """Runs that were judged on the same data.

    Attributes:
        letter: What the page calls the data; none where all runs share them.
        names: The runs.
        words: The data, as a person would say it.
    """

    letter: str
    names: tuple[str, ...]
    words: str


def grounds(runs: Mapping[str, RunFiles]) -> list[Ground]:
    """Groups of judged runs whose figures may be compared.

    A run that does not say what it was judged on stands by itself: evaluations have recorded the
    fingerprint of their data since it can be compared.

    Args:
        runs: By the names that they carry on the page; those without figures are left out.
    """
    groups: dict[str, list[str]] = {}
    for name, run in runs.items():
        if run.records:
            groups.setdefault(run.judged_on or f"unknown: {name}", []).append(name)
    return [
        Ground(
            _letter(place) if len(groups) > 1 else "",
            tuple(names),
            _words(runs[names[0]], known=not key.startswith("unknown")),
        )
        for place, (key, names) in enumerate(groups.items())
    ]


def _letter(place: int) -> str:
    """A to Z, then A2 and so on."""
    round_, letter = divmod(place, len(ascii_uppercase))
    return ascii_uppercase[letter] + (str(round_ + 1) if round_ else "")


def _words(run: RunFiles, *, known: bool) -> str:
    """Source, folder and size of the data that a run was judged on."""
    data = run.config.get("data", {})
    counts = [record["n"] for record in run.records if record.get("metric") == "top1"]
    parts = [str(data.get("name", "unknown data"))]
    if data.get("root"):
        parts.append(f"in {data['root']}")
    if counts:
        parts.append(f"{max(counts):,} test examples")
    if "class_names" in run.arrays:
        parts.append(f"{len(run.arrays['class_names']):,} classes")
    if not known:
        parts.append("no fingerprint of the data was kept")
    return ", ".join(parts)
