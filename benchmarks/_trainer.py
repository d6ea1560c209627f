"""One contender of the bench of training, in a process of its own.

    python -m benchmarks._trainer 32 nearfar cpu 1

prints, once it has warmed up, and then for each line that it reads, the images it trains on in a
second: of its processor's time on the CPU, by the clock on a GPU.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import timm
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._contender import plain_nt_xent

RATE, DIM, TEMPERATURE = 0.06, 128, 0.1
_WARM_UP = 8
"""Steps before the first that counts: later than any module that a contender imports meanwhile."""


@dataclass(frozen=True)
class Problem:
    """What all contenders train.

    Attributes:
        network: As torchvision and timm call it, with its standard stem.
        width: Of its features, and of the head's hidden layer.
        batch: Images in a step.
        steps: In a turn.
        blur: Probability of Gaussian blur in a view.
        images: Made, of which batches are drawn.
        workers: Processes that make views, where they are made image by image.
    """

    network: str
    width: int
    batch: int
    steps: int
    blur: float
    images: int = 512
    workers: int = 0


PROBLEMS = {
    32: Problem("resnet18", 512, 128, 3, 0.0),
    96: Problem("resnet50", 2048, 32, 1, 0.5),
    224: Problem("resnet50", 2048, 8, 1, 0.5, images=64),
}
"""By the images' side; lightly's own example for 32 px leaves the blur out."""


GPU_PROBLEM = Problem("resnet18", 512, 512, 50, 0.0, 65536, os.cpu_count() or 1)
"""What contenders train on a GPU, at 32 px."""


def clock(device: torch.device) -> float:
    """Seconds: of the processor's time, or of the clock once a GPU has done all it was asked."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


class Turns:
    """Takes the time of so many steps, then waits to be asked for more."""

    def __init__(self, problem: Problem, device: torch.device) -> None:
        self._steps, self._batch, self._device = problem.steps, problem.batch, device
        self._taken = problem.steps - _WARM_UP  # steps whose figure nobody reads
        self._begun = clock(device)

    def next(self) -> None:
        """Call it before each step."""
        if self._taken == self._steps:
            seconds = clock(self._device) - self._begun
            print(self._steps * self._batch / seconds, flush=True)
            if not sys.stdin.readline():
                sys.exit()
            self._taken, self._begun = 0, clock(self._device)
        self._taken += 1


def images(side: int, count: int) -> np.ndarray:
    """Made images of 8 by 8 patches of colour, uint8."""
    rng = np.random.default_rng(0)
    patches = rng.integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return patches.repeat(side // 8, axis=1).repeat(side // 8, axis=2)


def nearfar(side: int, problem: Problem, device: torch.device) -> None:
    """The loop of `nearfar train`, whole."""
    from nearfar.data.batches import TrainingBatches
    from nearfar.encoders.specs import TimmSpec
    from nearfar.methods.unlabelled_specs import SimCLRSpec
    from nearfar.run_folder.folder import RunFolder
    from nearfar.spec import as_spec
    from nearfar.training.loop import train
    from nearfar.training.specs import SGDSpec, TrainingSpec
    from nearfar.views.specs import ViewsSpec

    turns = Turns(problem, device)

    class Paced(TrainingBatches):
        def epoch(
            self, number: int, first_step: int = 0
        ) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
            for batch in super().epoch(number, first_step):
                turns.next()
                yield batch

    examples = torch.from_numpy(images(side, problem.images)).permute(0, 3, 1, 2).contiguous()
    encoder = TimmSpec(name=f"timm/{problem.network}").build((3, side, side))
    head = SimCLRSpec(projection_hidden=problem.width, projection_dim=DIM)
    views = as_spec(ViewsSpec, {"name": "simclr", "blur": problem.blur})
    config = TrainingSpec(
        epochs=100_000,
        batch_size=problem.batch,
        optimizer=SGDSpec(learning_rate=RATE),
        device=device.type,
        knn_every=0,
        checkpoint_every=100_000,
    )
    with tempfile.TemporaryDirectory() as folder:
        train(
            head.build(encoder),
            views.build((3, side, side), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
            Paced(examples, None, batch_size=problem.batch, seed=0, device=device),
            config,
            RunFolder.create(folder),
            seed=0,
        )


class Pictures(Dataset):
    """The images as PIL gives them, without an end, through a transform."""

    def __init__(
        self, side: int, count: int, transform: Callable[[Image.Image], Sequence[object]]
    ) -> None:
        self._images, self._transform = images(side, count), transform

    def __len__(self) -> int:
        return 10**6

    def __getitem__(self, index: int) -> Sequence[object]:
        return self._transform(Image.fromarray(self._images[index % len(self._images)]))


def lightly(side: int, problem: Problem, device: torch.device, *, half: bool) -> None:
    """SimCLR as lightly's example has it."""
    import torchvision
    from lightly.loss import NTXentLoss
    from lightly.models.modules import SimCLRProjectionHead
    from lightly.transforms.simclr_transform import SimCLRTransform

    turns = Turns(problem, device)
    network = getattr(torchvision.models, problem.network)()
    backbone = nn.Sequential(*list(network.children())[:-1], nn.Flatten())
    model = nn.Sequential(backbone, SimCLRProjectionHead(problem.width, problem.width, DIM))
    order = torch.channels_last if half else torch.contiguous_format
    model = model.to(device, memory_format=order)  # pyright: ignore[reportCallIssue]
    transform = SimCLRTransform(input_size=side, gaussian_blur=problem.blur)
    loader = DataLoader(
        Pictures(side, problem.images, transform),
        batch_size=problem.batch,
        shuffle=True,
        drop_last=True,
        num_workers=problem.workers,
        pin_memory=device.type == "cuda",
    )
    criterion = NTXentLoss(TEMPERATURE)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE)
    turns.next()
    for first, second in loader:
        views = [view.to(device, non_blocking=True) for view in (first, second)]
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            embedded = [model(view.to(memory_format=order)) for view in views]
            loss = criterion(*embedded)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        turns.next()


def plain(side: int, problem: Problem, device: torch.device) -> None:
    """Plain torch on views that are there already: what the network alone takes."""
    turns = Turns(problem, device)
    model = method_of(problem).to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    views = torch.randn(2 * problem.batch, 3, side, side, device=device)
    views = views.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=0.9, fused=True)
    while True:
        turns.next()
        with torch.autocast(device.type, torch.bfloat16):
            embedded = model(views)
        plain_nt_xent(embedded.float()).backward()
        optimizer.step()
        optimizer.zero_grad()


def method_of(problem: Problem) -> nn.Module:
    """Network and head."""
    head = (nn.Linear(problem.width, problem.width), nn.ReLU(), nn.Linear(problem.width, DIM))
    return nn.Sequential(timm.create_model(problem.network, num_classes=0), *head)


def floor(side: int, problem: Problem, device: torch.device) -> None:
    """The operations of a step at the rate of a large product of bfloat16."""
    few = 8
    with FlopCounterMode(display=False) as counter:
        method_of(problem)(torch.randn(2 * few, 3, side, side)).sum().backward()
    operations = counter.get_total_flops() / few
    size = 2048 if device.type == "cpu" else 8192
    first, second, held = torch.randn(3, size, size, device=device).bfloat16()
    while True:
        begun = clock(device)
        for _ in range(4):
            torch.mm(first, second, out=held)
        rate = 4 * 2 * size**3 / (clock(device) - begun)
        print(rate / operations, flush=True)
        if not sys.stdin.readline():
            return


def main() -> None:
    side, name, threads = int(sys.argv[1]), sys.argv[2], int(sys.argv[4])
    device = torch.device(sys.argv[3])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    problem = PROBLEMS[side] if device.type == "cpu" else GPU_PROBLEM
    if name.startswith("lightly"):
        lightly(side, problem, device, half=name != "lightly")
    else:
        {"nearfar": nearfar, "plain": plain, "floor": floor}[name](side, problem, device)


if __name__ == "__main__":
    main()
