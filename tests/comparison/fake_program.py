"""A stand-in for `python -m nearfar train --resume RUN` that takes no time to start.

It takes a step every hundredth of a second, saves when told to stop and goes on from what it saved.
A recipe of seed 13 fails; one of seed 11 is judged as earlier versions did. Written to a folder on
PYTHONPATH as `nearfar/__main__.py`.
"""

from pathlib import Path

PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path

run = Path(sys.argv[sys.argv.index("--resume") + 1])
recipe = json.loads((run / "config.json").read_text())
if recipe["seed"] == 13:
    sys.exit("nearfar: an unlucky number")
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
saved = run / "saved"
step = int(saved.read_text()) if saved.exists() else 0
with (run / "begun").open("a") as file:
    file.write(f"{step} on {os.environ['OMP_NUM_THREADS']} thread\\n")
while step < recipe["training"]["epochs"]:
    step += 1
    with (run / "metrics.jsonl").open("a") as file:
        line = {"kind": "step", "step": step, "epoch": float(step), "learning_rate": 0.1}
        file.write(json.dumps(line) + "\\n")
    time.sleep(0.01)
    if stopping:
        saved.write_text(str(step))
        sys.exit(143)
# What it leaves is written by the real one's hand.
sys.path.remove(os.environ["PYTHONPATH"])
del sys.modules["nearfar"]
from nearfar.run_folder.folder import RunFolder
folder = RunFolder(run)
folder.write_environment({
    "started": "2026-11-29T12:00:00+00:00",
    "seconds": 1.0,
    "hardware": "a machine",
    "threads": 1,
    "python": "3.11.7",
    "versions": {"nearfar": "0.1.0"},
})
folder.write_evaluation_arrays({})
parameters = {"k": 20, "temperature": 0.07, "transform": "as is"}
if recipe["seed"] == 11:  # as an earlier version judged
    del parameters["transform"]
folder.write_evaluation([{
    "protocol": "knn", "features": "encoder", "metric": "top1", "value": 0.9, "sd": None,
    "n": 500, "parameters": parameters,
}])
"""


def install(folder: Path) -> Path:
    """Write it where Python finds it before the real one, if the folder is on PYTHONPATH."""
    package = folder / "nearfar"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PROGRAM)
    return folder
