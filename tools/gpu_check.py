"""What only a GPU can tell: tests of kernels and of NCCL, and benches, onto docs/benchmarks_gpu.md.

    python -m tools.gpu_check --look     ends with 1 where there is no CUDA GPU, and does no more
    python -m tools.gpu_check

`make gpu-check` calls both, the second once all that it measures against is installed.
"""

import subprocess
import sys

import torch
from benchmarks.__main__ import GPU_PAGE, bench_names, run

from tools.machine import processor, versions
from tools.markdown import with_section


def main() -> None:
    """Look for a GPU, then test and measure on it."""
    if not torch.cuda.is_available():
        sys.exit("make gpu-check needs a CUDA GPU, and torch finds none here")
    if sys.argv[1:] == ["--look"]:
        return
    passed, told = tests()
    write("gpu_tests", told)
    for name in bench_names():
        if name.startswith("gpu_"):
            write(name, run(name))
    if not passed:
        sys.exit("make gpu-check: tests failed; the rest is measured")


def tests() -> tuple[bool, str]:
    """Whether all tests that need a GPU pass here, and what the page says of them."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n0", "-p", "no:cacheprovider"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout, end="")
    return done.returncode == 0, section(done.returncode == 0, done.stdout)


def section(passed: bool, said: str) -> str:
    """What the page says of the tests.

    Args:
        passed: Whether all did that were run.
        said: pytest's standard output, whose last line counts.
    """
    count = torch.cuda.device_count()
    gpus = f"{count} × {torch.cuda.get_device_name()}" if count else "no GPU"
    ranks = "" if count > 1 else " Those of NCCL want two GPUs and were left out."
    return (
        "## Tests\n\n"
        f"`pytest -m gpu`: {said.strip().splitlines()[-1].strip('= ')}.{ranks} "
        f"{'All passed.' if passed else '**Not all passed.**'} "
        f"{versions('nearfar', 'torch')}; {gpus}, {processor()}.\n"
    )


def write(name: str, text: str) -> None:
    """Put a section on the page."""
    GPU_PAGE.write_text(with_section(GPU_PAGE.read_text(), name, f"{text.strip()}\n"))


if __name__ == "__main__":
    main()
