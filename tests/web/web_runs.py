"""Small run folders for the tests of the site, and a client that knows its token."""

import time
from pathlib import Path

import numpy as np
from starlette.testclient import TestClient

from nearfar.encoders.head_specs import LinearHeadSpec
from nearfar.encoders.saved import save_encoder
from nearfar.encoders.specs import SmallResNetSpec
from nearfar.encoders.text_specs import TextBagSpec
from nearfar.run_folder.folder import RunFolder
from nearfar.training.generators import OwnDraws
from nearfar.web.app import web_app

TOKEN = "a-token"
HOST = "http://127.0.0.1:1234"


def client_of(folder: Path, base: str = HOST, **settings) -> TestClient:
    """A browser, so to speak, on the page of a folder."""
    return TestClient(web_app(folder, TOKEN), base_url=base, follow_redirects=False, **settings)


def ask(client: TestClient, path: str, *runs: str, **parameters):
    """The answer to a path behind the token."""
    given = [("id", run) for run in runs] + list(parameters.items())
    return client.get(f"/{TOKEN}/{path}", params=given)


def ids(client: TestClient) -> dict[str, str]:
    """The id of each run by its name."""
    rows = ask(client, "api/runs", most="5000").json()["rows"]
    return {row["cells"][0]: row["id"] for row in rows}


def begin_run(path: Path, *, epochs: int = 4, steps: int = 4, **config) -> RunFolder:
    """A run that has trained for some steps, ten of them an epoch, and not ended."""
    run = RunFolder.create(path)
    run.write_config(
        {
            "recipe": "simclr-digits",
            "seed": 0,
            "data": {"name": "digits"},
            "method": {"name": "simclr"},
            "encoder": {"name": "small-resnet"},
            "training": {"epochs": epochs, "batch_size": 16},
            **config,
        }
    )
    run.write_environment({"seconds": 1.0, "started": "2026-11-30T12:00:00+00:00"})
    for step in range(1, steps + 1):
        run.append_metrics(step_line(step))
    return run


def step_line(step: int, loss: float = 5.0) -> dict:
    """A line of `metrics.jsonl`."""
    return {
        "kind": "step",
        "step": step,
        "epoch": step / 10,
        "loss": loss - step / 100,
        "learning_rate": 0.001,
        "examples_per_second": 80.0,
    }


def leave_encoder(run: RunFolder, spec, shape: tuple[int, ...], head=None, tower="first") -> None:
    """An encoder at its first weights, as a run leaves it."""
    with OwnDraws(len(shape)):
        encoder = spec.build(shape)
        behind = None if head is None else (head, head.build(encoder.num_features))
    channels = [0.5] * (0 if spec.takes == "texts" else shape[0])
    save_encoder(
        run.path, encoder, spec, shape=shape, mean=channels, std=channels, head=behind, tower=tower
    )


def leave_pairs(folder: Path, texts: list[str], *, test_fraction: float = 0.25) -> RunFolder:
    """A run of pictures of 8×8 pixels beside texts, both encoders at their first weights."""
    pixels = np.random.default_rng(0).integers(0, 256, (len(texts), 8, 8), dtype=np.uint8)
    file = folder.parent / "pairs.npz"
    file.parent.mkdir(parents=True)
    np.savez(file, first=pixels, second=texts)
    data = {"name": "image-pairs-npz", "root": str(file), "length": 40}
    data |= {"test_fraction": test_fraction}
    method = {"name": "clip", "second_encoder": {"name": "text-bag"}}
    run = begin_run(folder, data=data, method=method, views={"name": "digits", "count": 1})
    leave_encoder(run, SmallResNetSpec(width=4), (1, 8, 8), LinearHeadSpec(dim=6))
    second = TextBagSpec(width=16, buckets=64, dropout=0.0)
    leave_encoder(run, second, (40,), LinearHeadSpec(dim=6), "second")
    return run


def until_ready(client: TestClient, run: str) -> dict:
    """What the search of a run says in the end."""
    deadline = time.monotonic() + 60
    while True:
        state = ask(client, "api/search", run).json()
        if "doing" not in state:
            return state
        assert time.monotonic() < deadline
        time.sleep(0.05)
