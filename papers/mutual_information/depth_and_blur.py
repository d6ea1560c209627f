"""SimCLR with a deeper network, and with blur among its views."""

import pandas as pd
from matplotlib.figure import Figure

from nearfar.encoders.specs import CIFARResNet20Spec, CIFARResNet32Spec
from papers.figures import panels
from papers.mutual_information.setup import PILOT, SOURCE
from papers.reproductions.contrast import over
from papers.reproductions.curves import by_epoch, side_by_side
from papers.reproductions.probed import BESIDE, BLURRED, OURS, run, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import OUR_KNN, PROBE

NAMES = {
    "no-blur": "no blur",
    "blur": "blur in half of the views",
    "layers-20": "20 layers",
    "layers-32": "32 layers",
}


def draw(results: pd.DataFrame) -> Figure:
    """Against epochs, and after the last."""
    figure, (left, right) = panels(2)
    by_epoch(left, results, NAMES)
    side_by_side(right, results, (PROBE, OUR_KNN), NAMES)
    return figure


REPRODUCTION = Reproduction(
    name="simclr_depth_and_blur",
    title="Do a deeper network and blur help SimCLR?",
    source=SOURCE,
    published="CIFAR-10, linear probe. With blur ResNet-18 goes from 84.1 (jitter 0.75) to 84.6 "
    "(jitter 0.65), at batch 1024 and T = 0.25; ResNet-50 from 84.8 (batch 256, T = 0.5) to 86.2 "
    "(top-5 99.7; batch 256, T = 0.25). No two runs differ in depth or in blur alone.",
    ours=f"{OURS} Here each pair differs in one thing. The deep networks are ResNet-20 and "
    "ResNet-32 of width 8, both of which keep the full side in their first stage; 0.5 is the "
    "published gain of blur, with the jitter changed beside it.",
    setups=lambda: {
        "no-blur": run(simclr()),
        "blur": run(simclr(), views=BLURRED),
        "layers-20": run(simclr(), encoder=CIFARResNet20Spec(width=8)),
        "layers-32": run(simclr(), encoder=CIFARResNet32Spec(width=8)),
    },
    seeds=6,
    contrasts=(
        over("layers-32", "layers-20", None, NAMES, yardstick=PROBE, interest=1.0),
        over("blur", "no-blur", 0.5, NAMES, yardstick=PROBE),
    ),
    draw=draw,
    minutes=1.1,
    pilot=PILOT,
    beside=BESIDE,
)
