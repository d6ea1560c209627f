"""`nearfar neighbors ENCODER IMAGE --data FOLDER`: the images of a folder most like one image."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.data.source_spec import Fit
from nearfar.errors import SettingError


@dataclass(frozen=True)
class NeighborsArguments:
    """List the images of a folder that lie nearest to one image, most similar first."""

    encoder: Annotated[Positional[Path], arg(metavar="ENCODER")]
    """Run folder, or the encoder.safetensors in it."""
    image: Annotated[Positional[Path], arg(metavar="IMAGE")]
    """The image to look for; where it lies in the folder, it is left out of the answer."""
    data: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of images to look among; sub-folders too."""
    k: int = 8
    """How many to list; at least 1."""
    fit: Fit | None = None
    """Images that are not square: squash, pad or crop; left out, as the run learnt, but whole."""
    max_corrupt: float = 0.01
    """Largest share of unreadable images to skip before the folder is refused; 0 to 1."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar neighbors` with the words after it."""
    arguments = parse(NeighborsArguments, "neighbors", words)
    if arguments.k < 1:
        raise SettingError(f"--k is {arguments.k}: it must be 1 or more")
    check_range("--k", arguments.k, 1, 2**31 - 1)
    check_range("--max-corrupt", arguments.max_corrupt, 0, 1)

    from rich.table import Table

    from nearfar.cli.folder_features import fit_for, folder_features, image_features
    from nearfar.encoders.saved import load_encoder
    from nearfar.evaluation.knn import KNNBank
    from nearfar.terminal import Terminal, shown

    console = Terminal()
    encoder = load_encoder(arguments.encoder)
    fit = fit_for(arguments.encoder, arguments.fit)
    query = image_features(encoder, arguments.image, fit=fit)
    with console.status("embedding the folder"):
        found = folder_features(
            encoder,
            arguments.data,
            fit=fit,
            max_corrupt=arguments.max_corrupt,
            device=arguments.device,
        )
    console.say("note", found.notes)
    # One more than asked for, as the image itself may be among them.
    similarities, indices = KNNBank(found.features).neighbors(query, arguments.k + 1)
    itself = arguments.image.resolve()
    names = [found.names[index] for index in indices[0].tolist()]
    listed = [
        (similarity, name)
        for similarity, name in zip(similarities[0].tolist(), names, strict=True)
        if (arguments.data / name).resolve() != itself
    ]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", justify="right")
    table.add_column("similarity", justify="right")
    table.add_column("file", overflow="fold")
    for rank, (similarity, name) in enumerate(listed[: arguments.k], 1):
        table.add_row(str(rank), f"{similarity:.3f}", shown(name))
    console.print(table)
