"""Runs in the peer's environment: every estimator of benchmark-mi on one file of samples.

PYTHON peer_benchmark_mi.py SAMPLES.npz SEED prints one line of JSON last.
"""

import json
import sys
from importlib import metadata

import numpy as np

try:
    import bmi  # pyright: ignore[reportMissingImports]
except ImportError:
    sys.exit("it has no benchmark-mi: `uv pip install --python PYTHON benchmark-mi` brings it")


def main() -> None:
    """Estimate with each and print what came out."""
    path, seed = sys.argv[1], int(sys.argv[2])
    with np.load(path) as file:
        x, y = file["x"], file["y"]
    neural = {
        "InfoNCE": bmi.estimators.InfoNCEEstimator,
        "NWJ": bmi.estimators.NWJEstimator,
        "Donsker-Varadhan": bmi.estimators.DonskerVaradhanEstimator,
        "MINE": bmi.estimators.MINEEstimator,
    }
    makers = {name: kind(seed=seed, verbose=False) for name, kind in neural.items()}
    makers["KSG"] = bmi.estimators.KSGEnsembleFirstEstimator()
    makers["CCA"] = bmi.estimators.CCAMutualInformationEstimator()
    estimates = {name: float(maker.estimate(x, y)) for name, maker in makers.items()}
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("benchmark-mi", "jax"))
    print(json.dumps({"estimates": estimates, "versions": versions}))


if __name__ == "__main__":
    main()
