"""`nearfar export RUN --to onnx|timm|hub --out PATH`: a trained encoder for other programs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from nearfar.cli.arguments import parse
from nearfar.durable_files import check_writable, make_folder, write_durably
from nearfar.errors import NearfarError, SettingError

if TYPE_CHECKING:
    from nearfar.encoders.saved_encoder import SavedEncoder


@dataclass(frozen=True)
class ExportArguments:
    """Write a trained encoder in the files of other programs; what is written was tried first."""

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    """Folder of the run."""
    to: Literal["onnx", "timm", "hub"]
    """onnx: one file, normalising included; timm: a folder that timm.create_model loads; hub: a
    folder for the Hugging Face Hub with a model card"""
    out: Annotated[Path, arg(metavar="PATH")]
    """NAME.onnx, or a folder that is not there yet or is empty."""
    output: Literal["features", "embedding"] = "features"
    """Of onnx: what the network gives, features or what the projection head makes of them."""
    licence: str | None = None
    """Of hub: the licence of the weights, such as cc-by-4.0; left out, the card says so."""
    upload: Annotated[str | None, arg(metavar="USER/NAME")] = None
    """Of hub: also upload it to this repository; left out, nothing leaves this machine."""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar export` with the words after it."""
    arguments = parse(ExportArguments, "export", words)
    _refuse_foreign(arguments)
    _check_place(arguments)

    from nearfar.encoders.saved import load_encoder
    from nearfar.terminal import Terminal, shown

    console = Terminal(goes_on=True)
    encoder = load_encoder(arguments.run, arguments.output)
    with console.status(f"exporting to {arguments.to}"):
        told = (_onnx if arguments.to == "onnx" else _folder)(encoder, arguments)
    console.print(f"{shown(arguments.out)}: {shown(told)}", highlight=False)


def _onnx(encoder: "SavedEncoder", arguments: ExportArguments) -> str:
    from nearfar.exports.onnx_model import INPUT, onnx_model
    from nearfar.modality import in_words

    model = onnx_model(encoder, output=arguments.output)
    write_durably(arguments.out, model.content)
    return (
        f"{len(model.content) / 2**20:.1f} MiB; input {INPUT}, {model.kind}, any number of "
        f"{in_words(encoder.modality, encoder.shape)}; output {arguments.output}, "
        f"{encoder.num_features} values each; onnxruntime differs from torch by "
        f"{model.error:.1g} of the largest value"
    )


def _folder(encoder: "SavedEncoder", arguments: ExportArguments) -> str:
    from nearfar.exports.hub_folder import hub_files, upload
    from nearfar.exports.timm_folder import timm_files
    from nearfar.run_folder.folder import RunFolder

    if arguments.to == "timm":
        files = timm_files(encoder)
    else:
        files = hub_files(encoder, RunFolder.open(arguments.run), licence=arguments.licence)
    _write_all(arguments.out, files)
    told = ", ".join(files)
    if "model.safetensors" in files:
        told += f"; timm.create_model('local-dir:{arguments.out}', pretrained=True) loads it"
    if arguments.upload is not None:
        told += f"; uploaded to {upload(files, arguments.upload)}"
    return told


def _write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files; where the disk refuses one, none stays, so that the same command serves."""
    make_folder(folder)
    try:
        for name, content in files.items():
            write_durably(folder / name, content)
    except NearfarError:
        for name in files:
            (folder / name).unlink(missing_ok=True)
        raise


def _refuse_foreign(arguments: ExportArguments) -> None:
    """Options that belong to another form."""
    if arguments.to != "onnx" and arguments.output != "features":
        raise SettingError(
            f"--output embedding belongs to --to onnx: --to {arguments.to} is the backbone"
        )
    for name in ("licence", "upload"):
        if arguments.to != "hub" and getattr(arguments, name) is not None:
            raise SettingError(f"--{name} belongs to --to hub")


def _check_place(arguments: ExportArguments) -> None:
    """Refuse a place that cannot be written, before any work."""
    out = arguments.out
    if arguments.to == "onnx":
        if out.suffix != ".onnx":
            raise SettingError(f"--out {out}: the name must end in .onnx")
        if not out.parent.is_dir():
            raise SettingError(f"--out {out}: there is no folder {out.parent}")
        check_writable(out)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise SettingError(f"--out {out} is there already: choose a new folder")
