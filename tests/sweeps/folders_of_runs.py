"""Run folders in every state, written as training writes them, without any training."""

from dataclasses import replace
from pathlib import Path

from nearfar.recipes.config_json import recipe_to_json
from nearfar.recipes.digits import simclr_digits
from nearfar.run_folder.folder import RunFolder


def write_run(
    path: Path,
    *,
    epochs: float = 20,
    check: float | None = 0.91,
    encoder: bool = True,
    knn: float | None = 0.93,
    seed: int = 0,
    last: str | None = None,
    steps: int = 3,
) -> RunFolder:
    folder = RunFolder.create(path)
    folder.write_config(recipe_to_json(replace(simclr_digits(), seed=seed), run=path))
    folder.write_environment({"started": f"2026-11-0{seed + 1}T10:00:00+00:00", "seconds": 60.5})
    for step in range(steps):
        line = {"kind": "step", "step": step + 1, "epoch": epochs * (step + 1) / steps}
        folder.append_metrics({**line, "loss": 1.0, "learning_rate": 0.1})
        if step == 0 and check is not None:
            folder.append_metrics({**line, "kind": "knn", "top1": check, "asked": "held out"})
    if last is not None:
        folder.append_metrics({"kind": last, "step": steps, "epoch": epochs, "told": "so"})
    if encoder:
        folder.manifest.write({"encoder.json": b"{}\n"})
    if knn is not None:
        record = {"protocol": "knn", "metric": "top1", "parameters": {"k": 20}, "n": 10}
        features = {"encoder": knn, "raw": 0.5}
        folder.write_evaluation(
            [{**record, "features": name, "value": value} for name, value in features.items()]
        )
    return folder
