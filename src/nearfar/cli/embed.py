"""`nearfar embed ENCODER --data DATA --out FILE`: examples as vectors, with names and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.cli.given_data import GivenData, examples_of, fit_for, take_source
from nearfar.data.source_spec import Fit
from nearfar.launch import said_by_first_rank
from nearfar.uses.file_names import check_features_out


@dataclass(frozen=True)
class EmbedArguments:
    """Turn examples into the encoder's features, with their names, labels and parts.

    Cut at any moment, the same command goes on where it was. Under torchrun each rank embeds its
    share.
    """

    encoder: Annotated[Positional[Path], arg(metavar="ENCODER")]
    """Run folder, or the encoder.safetensors in it."""
    data: Annotated[str, arg(metavar="DATA")]
    """Folder of images (sub-folders too) or sounds, or file of arrays: all that is in it; or a
    source by name, with its settings as --data.root (`nearfar data` lists them)."""
    out: Annotated[Path, arg(metavar="FILE")]
    """NAME.parquet, NAME.npz or NAME.npy: names, features, labels and parts"""
    output: Literal["features", "embedding"] = "features"
    """features of the backbone, or the embedding: what the projection head makes of them"""
    fit: Fit | None = None
    """Images of a folder that are not square: squash, pad or crop; left out, as the run learnt,
    but whole."""
    max_corrupt: float = 0.01
    """Largest share of a folder's images to skip, unreadable, before it is refused; 0 to 1."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar embed` with the words after it."""
    with said_by_first_rank():
        words, source = take_source("embed", words)
        arguments = parse(EmbedArguments, "embed", words)
        check_range("--max-corrupt", arguments.max_corrupt, 0, 1)
        check_features_out(arguments.out)

    from nearfar.encoders.saved import load_encoder
    from nearfar.run_folder.names import tower_of
    from nearfar.terminal import Terminal, shown
    from nearfar.training.hardware import choose_hardware
    from nearfar.training.ranks import joined_ranks
    from nearfar.training.thread_choice import ThreadChoice
    from nearfar.uses.embed import embed

    with joined_ranks() as ranks:
        console = Terminal(goes_on=True, quiet=not ranks.first)
        where = choose_hardware(arguments.device, "fp32").device
        encoder = load_encoder(arguments.encoder, arguments.output)
        examples, workers = examples_of(
            GivenData(arguments.data, source),
            encoder,
            ranks,
            fit=fit_for(arguments.encoder, arguments.fit),
            max_corrupt=arguments.max_corrupt,
            tower=tower_of(arguments.encoder.name),
        )
        said: list[str] = []
        with (
            console.status("embedding") as status,
            ThreadChoice(where, alone=ranks.count == 1, say=said.append) as threads,
        ):
            done = embed(
                encoder.to(where),
                examples,
                arguments.out,
                encoder_path=arguments.encoder,
                device=where,
                workers=workers,
                threads=threads,
                say=status.update,
            )
        console.say("note", (*done.notes, *said))
        if done.kept:
            console.print(f"went on: {done.kept:,} were there from an earlier call, and whole")
        each = "features" if arguments.output == "features" else "numbers of the embedding"
        console.print(
            f"{done.rows:,} {encoder.modality}, {done.width} {each} each: {shown(done.path)}"
        )
