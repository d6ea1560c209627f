"""`nearfar.estimate_mi` and the peer on the same finite samples, each kept once it is done."""

import json
import os
import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from tools.clock import Clock
from tools.machine import made_on

import nearfar
from nearfar.durable_files import write_durably
from nearfar.errors import NearfarError, SettingError
from papers.bounds_bench.tasks import TASKS

INFORMATION = 2.0
"""Nats that x and y share in every task."""
BOUNDS = ("info_nce", "nwj", "donsker_varadhan", "mine", "smile")
"""Those that the peer has as well, and SMILE."""
PEER = "benchmark-mi"
TOO_WIDE = ("pictures",)
"""What the peer is not asked: with 256 columns it had not ended after 5 minutes of CPU."""
_PROGRAM = Path(__file__).with_name("peer_benchmark_mi.py")


@dataclass(frozen=True)
class SampleSet:
    """Samples that both estimate from.

    Attributes:
        task: One of `TASKS`.
        seed: Of the draws, and of what estimates.
        count: Pairs.
    """

    task: str
    seed: int
    count: int = 5000

    def drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """X and y, a row each, float32."""
        generator = torch.Generator().manual_seed(self.seed)
        x, y = TASKS[self.task].sample(INFORMATION, self.count, generator)
        return x.float().numpy(), y.float().numpy()

    def path(self, folder: Path, who: str) -> Path:
        """The file of what was estimated from it."""
        return folder / f"samples-{self.task}-seed{self.seed}-{who}.json"


def asked(samples: SampleSet, who: str) -> bool:
    """Whether these samples are put to that one."""
    return who != PEER or samples.task not in TOO_WIDE


def by_nearfar(samples: SampleSet) -> list[dict]:
    """One row for each estimator of ours, with its defaults."""
    x, y = samples.drawn()
    result = nearfar.estimate_mi(x, y, bounds=BOUNDS, seed=samples.seed, device="cpu")
    rows = [
        {
            "estimator": each.title,
            "estimate": each.value,
            "warned": bool(each.warnings),
        }
        for each in result.estimates
    ]
    if result.ksg is not None:
        rows.append({"estimator": "KSG", "estimate": result.ksg, "warned": False})
    return [row | {"made_on": made_on()} for row in rows]


def by_peer(samples: SampleSet, python: Path) -> list[dict]:
    """One row for each estimator of the peer, with its defaults, from a process of its own.

    Args:
        samples: What to estimate from.
        python: The interpreter of an environment that has the peer.

    Raises:
        NearfarError: The interpreter cannot be started, or the peer failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        x, y = samples.drawn()
        np.savez(Path(folder) / "samples.npz", x=x, y=y)
        words = [str(python), str(_PROGRAM), f"{folder}/samples.npz", str(samples.seed)]
        # An environment of ours would find our packages in place of the peer's.
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                env=environment | {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"},
            )
        except OSError as error:
            raise SettingError(f"--peer-python {python}: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise NearfarError(f"{PEER} failed under {python}: {last}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return [
        {"estimator": name, "estimate": value, "warned": False, "made_on": answer["versions"]}
        for name, value in answer["estimates"].items()
    ]


def estimate_missing(
    sets: list[SampleSet], folder: Path, python: Path | None, console: Console
) -> None:
    """Estimates what is not there.

    Args:
        sets: Samples, in order.
        folder: Where estimates are kept; made where it is not.
        python: The peer's interpreter; None leaves the peer out.
        console: Where a person watches.
    """
    folder.mkdir(parents=True, exist_ok=True)
    makers = {"nearfar": by_nearfar}
    if python is not None:
        makers[PEER] = lambda samples: by_peer(samples, python)
    waiting = [
        (samples, who)
        for samples in sets
        for who in makers
        if asked(samples, who) and kept(samples, folder, who) is None
    ]
    clock = Clock(len(waiting))
    for place, (samples, who) in enumerate(waiting, start=1):
        rows = makers[who](samples)
        content = {"samples": asdict(samples), "information": INFORMATION, "rows": rows}
        write_durably(samples.path(folder, who), json.dumps(content, indent=2).encode())
        console.print(
            f"{place} of {len(waiting)}  {samples.task}, seed {samples.seed}, {who} · "
            f"{clock.left(place)}",
            highlight=False,
        )


def kept(samples: SampleSet, folder: Path, who: str) -> list[dict] | None:
    """The rows of an earlier call, or None.

    Raises:
        NearfarError: The file is damaged, or of other samples.
    """
    path = samples.path(folder, who)
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        same = (content["samples"], content["information"]) == (asdict(samples), INFORMATION)
        rows = content["rows"]
    except (ValueError, KeyError) as error:
        raise NearfarError(f"{path} is damaged: remove it, and it is made again") from error
    if not same:
        raise NearfarError(f"{path} is of other samples: move it away, or choose another --out")
    return rows
