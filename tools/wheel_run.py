"""A short run of nearfar as it is installed, which `make wheel` makes from the wheel."""

import subprocess
import sys
import tempfile
from pathlib import Path

import nearfar

COMMANDS = (
    "--version",
    "--help",
    "completion bash",
    "doctor --json",
    "train simclr-digits --out run --training.epochs 1 --encoder.width 8"
    " --evaluation.leave-out few_labels linear_probe",
    "recipes simclr-digits",
    "report run --out page.html",
)


def main() -> None:
    """Runs every command in an empty folder.

    Raises:
        SystemExit: nearfar is not installed but read from its sources, or lacks a file.
        CalledProcessError: A command failed.
    """
    package = Path(nearfar.__file__).parent
    if "site-packages" not in package.parts or not (package / "py.typed").is_file():
        raise SystemExit(f"{package} is not a whole installed package")
    with tempfile.TemporaryDirectory() as empty:
        for command in COMMANDS:
            run = [sys.executable, "-I", "-m", "nearfar", *command.split()]
            done = subprocess.run(run, cwd=empty, stdout=subprocess.PIPE, text=True, check=True)
            lines = done.stdout.splitlines()
            print(f"nearfar {command}: {len(lines)} lines", flush=True)
        for page in ("run/report.html", "page.html"):
            if "Encoder" not in (Path(empty) / page).read_text():
                raise SystemExit(f"{page} says nothing of the encoder")


if __name__ == "__main__":
    main()
