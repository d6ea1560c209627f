"""What lies between features and loss: nothing, a linear layer, an MLP."""

from functools import partial

from papers.momentum_contrast.setup import SOURCE
from papers.mutual_information.setup import PILOT
from papers.reproductions.contrast import over
from papers.reproductions.curves import epochs_and_last
from papers.reproductions.probed import BESIDE, OURS, run, simclr
from papers.reproductions.reproduction import Reproduction
from papers.reproductions.yardstick import OUR_KNN, PROBE

BATCH = 128
NAMES = {"identity": "no head", "linear": "linear head", "mlp": "MLP head"}


_over = partial(over, names=NAMES, yardstick=PROBE, interest=1.0)
REPRODUCTION = Reproduction(
    name="simclr_heads",
    title="Does SimCLR need a head, and one with a hidden layer?",
    source=f"Chen et al. 2020; {SOURCE}",
    published="Of SimCLR's four findings the second: features are better before an MLP head than "
    "before a linear one, and far better than without a head (ImageNet, linear probe). No size is "
    "quoted here.",
    ours=f"{OURS} Batches are of {BATCH}. Heads end in 128 dimensions, the MLP has 512 between; "
    "without a head the loss compares the 64 features.",
    setups=lambda: {head: run(simclr(head=head), batch_size=BATCH) for head in NAMES},
    seeds=8,
    contrasts=(_over("mlp", "linear", None), _over("linear", "identity", None)),
    draw=epochs_and_last(NAMES, (PROBE, OUR_KNN)),
    minutes=1.0,
    pilot=PILOT,
    beside=BESIDE,
)
