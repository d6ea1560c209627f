"""Small run folders for the tests of the site, and a client that knows its token."""

from pathlib import Path

from starlette.testclient import TestClient

from nearfar.run_folder.folder import RunFolder
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
