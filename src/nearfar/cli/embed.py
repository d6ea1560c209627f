"""`nearfar embed ENCODER --data FOLDER --out FILE`: a folder of images as vectors."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from nearfar.bounds import check_range
from nearfar.cli.arguments import parse
from nearfar.data.source_spec import Fit
from nearfar.durable_files import check_writable, write_durably
from nearfar.errors import NearfarError, SettingError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class EmbedArguments:
    """Turn every image of a folder into the encoder's features, with its file name."""

    encoder: Annotated[Positional[Path], arg(metavar="ENCODER")]
    """Run folder, or the encoder.safetensors in it."""
    data: Annotated[Path, arg(metavar="FOLDER")]
    """Folder of images; sub-folders too."""
    out: Annotated[Path, arg(metavar="FILE")]
    """NAME.npz with arrays `names` (n,) and `features` (n, d), or NAME.parquet with such columns"""
    fit: Fit | None = None
    """Images that are not square: squash, pad or crop; left out, as the run learnt, but whole."""
    max_corrupt: float = 0.01
    """Largest share of unreadable images to skip before the folder is refused; 0 to 1."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, …"""


def run(words: Sequence[str]) -> None:
    """Runs `nearfar embed` with the words after it."""
    arguments = parse(EmbedArguments, "embed", words)
    check_range("--max-corrupt", arguments.max_corrupt, 0, 1)
    content = _writer(arguments.out)

    from nearfar.cli.folder_features import fit_for, folder_features
    from nearfar.encoders.saved import load_encoder
    from nearfar.terminal import Terminal, shown

    console = Terminal(goes_on=True)
    encoder = load_encoder(arguments.encoder)
    fit = fit_for(arguments.encoder, arguments.fit)
    with console.status("embedding"):
        found = folder_features(
            encoder,
            arguments.data,
            fit=fit,
            max_corrupt=arguments.max_corrupt,
            device=arguments.device,
        )
    console.say("note", found.notes)
    write_durably(arguments.out, content(found.names, found.features.numpy()))
    count, width = found.features.shape
    console.print(f"{count:,} images, {width} features each: {shown(arguments.out)}")


def _writer(out: Path) -> Callable[[Sequence[str], "np.ndarray"], bytes]:
    """What makes the file of this name; refused here, before any work, where none can."""
    writers = {".npz": _npz, ".parquet": _parquet}
    if out.suffix not in writers:
        raise SettingError(f"--out {out}: the name must end in .npz or .parquet")
    if out.suffix == ".parquet" and find_spec("pyarrow") is None:
        raise NearfarError("writing parquet needs pyarrow: pip install 'nearfar[parquet]'")
    if not out.parent.is_dir():
        raise SettingError(f"--out {out}: there is no folder {out.parent}")
    check_writable(out)
    return writers[out.suffix]


def _npz(names: Sequence[str], features: "np.ndarray") -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.savez_compressed(buffer, names=np.array(names, dtype=np.str_), features=features)
    return buffer.getvalue()


def _parquet(names: Sequence[str], features: "np.ndarray") -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), features.shape[1])
    table = pa.table({"names": pa.array(names), "features": vectors})
    buffer = io.BytesIO()
    parquet.write_table(table, buffer)
    return buffer.getvalue()
