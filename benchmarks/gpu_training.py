"""Images a second of SimCLR's whole training step on a GPU, against lightly and the network.

Without a GPU it says so and leaves its section of docs/benchmarks_gpu.md as it is.
"""

import os

import torch
from tools.machine import processor, versions

from benchmarks._trainer import GPU_PROBLEM
from benchmarks.training import CONTENDERS, ROUNDS, rates, table

SIDE = 32


def main() -> str:
    if not torch.cuda.is_available():
        print("gpu_training needs a CUDA GPU: its section stays as it is")
        return ""
    threads = os.cpu_count() or 1
    section = (
        "## Training SimCLR\n\n"
        f"Images trained on in a second by the clock, {GPU_PROBLEM.network} at {SIDE} px, batches "
        f"of {GPU_PROBLEM.batch}, each image giving two views: data, views, forward and backward "
        "pass, optimiser and log. lightly makes its views on the CPU, in as many processes as it "
        f"has cores; nearfar on the GPU. Medians of {ROUNDS} turns of {GPU_PROBLEM.steps} steps; "
        f"contenders take turns. {versions('torch', 'torchvision', 'timm', 'lightly')}; "
        f"{torch.cuda.get_device_name()}, {processor()}.\n\n"
        + table(rates(SIDE, CONTENDERS, device="cuda", threads=threads))
        + "\n"
    )
    print(section)
    return section


if __name__ == "__main__":
    main()
