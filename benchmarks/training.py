"""Images a second of SimCLR's whole training step on one core, against lightly and the network."""

import statistics
from collections.abc import Iterable

from tools.machine import processor, versions

from benchmarks._process import answer, start, take_turn
from benchmarks._trainer import PROBLEMS

ROUNDS = 9
CONTENDERS = {
    "nearfar": "`nearfar train`",
    "lightly": "lightly, as its example is",
    "lightly-bf16": "lightly, bf16 and channels-last",
    "plain": "plain torch, views made before (bf16, channels-last)",
    "floor": "floor: the operations at the rate of a bf16 product",
}


def rates(
    side: int, contenders: Iterable[str], *, device: str = "cpu", threads: int = 1
) -> dict[str, list[float]]:
    """Images a second of each contender, one figure a round; they take turns.

    On the CPU these are seconds of a core's time, on a GPU of the clock.
    """
    running = {
        name: start("benchmarks._trainer", side, name, device, threads=threads, quiet=True)
        for name in contenders
    }
    try:
        for name, contender in running.items():
            if answer(contender) is None:
                raise SystemExit(f"{name} ended before it had warmed up")
        found: dict[str, list[float]] = {name: [] for name in running}
        for _ in range(ROUNDS):
            for name, contender in running.items():
                found[name].append(float(take_turn(contender) or "nan"))
        return found
    finally:
        for contender in running.values():
            contender.kill()
            contender.wait()


def table(found: dict[str, list[float]]) -> str:
    """Medians, and what share of each `nearfar train` reaches, round by round."""
    lines = ["| | images/s | lowest to highest | nearfar is faster by |", "|---|---:|---:|---:|"]
    for name, each in found.items():
        pairs = zip(found["nearfar"], each, strict=True)
        ratio = statistics.median(own / other for own, other in pairs)
        lines.append(
            f"| {CONTENDERS[name]} | {statistics.median(each):.3g} | {min(each):.3g} to "
            f"{max(each):.3g} | {ratio:.2f}× |"
        )
    return "\n".join(lines)


def main() -> str:
    """Measure and return the section for the page of benchmarks."""
    parts = [
        "## Training SimCLR\n",
        "Images trained on in a second of one core's time (process CPU time, one thread, data "
        "loaded in the same process), each giving two views of its own size: data, views, forward "
        f"and backward pass, optimiser and log. Medians of {ROUNDS} rounds in which the "
        "contenders take turns; made images; SGD; networks with their standard stems. The floor "
        "counts the multiplications and additions of the network, forward and backward, and has "
        "them done as fast as a product of 2048 by 2048 matrices in bfloat16; the padding of small "
        "maps, which nearfar leaves out in training, is counted. "
        f"{processor()}; {versions('torch', 'torchvision', 'timm', 'lightly')}.",
    ]
    for side, problem in PROBLEMS.items():
        parts.append(f"\n### {problem.network}, {side} px, batches of {problem.batch}\n")
        parts.append(table(rates(side, CONTENDERS)))
    section = "\n".join(parts) + "\n"
    print(section)
    return section


if __name__ == "__main__":
    main()
