"""Features on disk with all that belongs to them: names, labels, and which encoder they are of.

One of three kinds of file, by the ending of its name; any other program can read them:

- `.parquet`: columns `names`, `features` and, where there are any, `labels` and `parts`.
- `.npz`: arrays of these names, not compressed, and `class_names`.
- `.npy`: the features alone, which can be mapped into memory; all else lies in `NAME.rows.npz`.

What else is known, the checksums among it, is JSON: of the table's metadata, or the array `about`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Int64
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from nearfar.data.array_file import read_array
from nearfar.errors import NearfarError, SettingError
from nearfar.modality import Modality
from nearfar.outside_text import first_line
from nearfar.paths import user_path
from nearfar.uses.file_names import FEATURES
from nearfar.uses.stored_arrays import is_ours, read_npy, read_npz, read_table


@dataclass(frozen=True)
class About:
    """What a file says of its features.

    Attributes:
        encoder: Fingerprint of the encoder.
        encoder_path: Where it lay.
        modality: What the examples are.
        data: Where the examples came from: settings of a source, or the folder and how its images
            became squares.
        rows: How many there are.
        width: Features in a row.
        features_sha256: Of the features, row by row.
        rows_sha256: Of names, labels, parts and the classes' names.
        nearfar: The version that wrote it.
        output: What of the encoder they are: its features, or the embedding behind its head.
    """

    encoder: str
    encoder_path: str
    modality: Modality
    data: dict[str, Any]
    rows: int
    width: int
    features_sha256: str
    rows_sha256: str
    nearfar: str
    output: Literal["features", "embedding"] = "features"


_ABOUT = TypeAdapter(About)


@dataclass(frozen=True)
class Features:
    """Features and what belongs to their rows.

    Attributes:
        features: One row an example, `(n, dim)` float32, finite.
        names: One for each row: the file, or the part and the number in it, as "train/17".
        labels: Class of each row from 0, −1 where it has none; None where none has.
        class_names: Of the classes; None where there are no labels.
        parts: Of each row, such as "train"; None where there is one part alone.
        about: What the file says of them; None of features that nearfar did not write.
        path: The file; None of features in memory.
    """

    features: Float32[Tensor, "n dim"]
    names: Sequence[str]
    labels: Int64[Tensor, " n"] | None = None
    class_names: tuple[str, ...] | None = None
    parts: Sequence[str] | None = None
    about: About | None = None
    path: Path | None = field(default=None, compare=False)

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.features)

    def class_of(self, row: int) -> str | None:
        """The name of a row's class; None where it has none."""
        label = -1 if self.labels is None else int(self.labels[row])
        if label < 0:
            return None
        return self.class_names[label] if self.class_names is not None else str(label)

    def require_encoder(self, fingerprint: str, path: str | Path) -> None:
        """Refuse features that another encoder has made.

        Args:
            fingerprint: Of the encoder that is to fit.
            path: Where it lies, for the message.

        Raises:
            NearfarError: They are of another one, or of which is not known.
        """
        if self.about is None:
            raise NearfarError(
                f"{self.path} does not say which encoder it is of: write it with nearfar embed"
            )
        if self.about.encoder != fingerprint:
            raise NearfarError(
                f"{self.path} holds features of another encoder than {path} (of "
                f"{self.about.encoder_path} as it was then): embed the data again"
            )


def rows_digest(
    names: Sequence[str],
    labels: Int64[np.ndarray, " n"] | None,
    parts: Sequence[str] | None,
    class_names: Sequence[str] | None,
) -> str:
    """Checksum of what belongs to the rows."""
    digest = hashlib.sha256()
    for texts in (names, parts, class_names):
        digest.update(b"-" if texts is None else f"{len(texts)}:".encode())
        for text in texts or ():
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)}:".encode() + encoded)
    digest.update(b"-" if labels is None else labels.astype("<i8").tobytes())
    return digest.hexdigest()


def about_as_text(about: About, class_names: Sequence[str] | None) -> str:
    """The JSON that a file holds."""
    listed = None if class_names is None else list(class_names)
    return json.dumps({"about": asdict(about), "class_names": listed})


def rows_path(path: Path) -> Path:
    """Where what belongs to the rows of an .npy file lies."""
    return path.with_name(f"{path.stem}.rows.npz")


def load_features(path: Path | str, *, limit_mib: int = 2**20) -> Features:
    """Reads features that `nearfar embed` has written, and refuses what is damaged.

    Features of other programs are taken too, without what only nearfar writes: an .npy file, an
    array `features` or the only one of an .npz file, the column or all numbers of a table; with
    `names` and `labels` where an .npz file holds them.

    Args:
        path: `.parquet`, `.npz` or `.npy`; the features of an .npy file are mapped into memory.
        limit_mib: Largest size of the features.

    Raises:
        NearfarError: There is no such file, it is damaged, or a feature is not finite.
        SettingError: It is larger, or its name ends otherwise.
    """
    path = user_path(path)
    if path.suffix not in FEATURES:
        raise SettingError(f"{path}: features end in .parquet, .npz or .npy")
    if not path.is_file():
        raise NearfarError(f"no file {path}: check the path")
    read = {".parquet": read_table, ".npz": read_npz, ".npy": read_npy}[path.suffix]
    held = read(path, rows_path(path), limit_mib)
    try:
        found = _of_others(path, limit_mib) if held is None else _checked(held)
    except NearfarError as error:
        raise type(error)(f"{path}: {error}") from None
    return replace(found, path=path)


def holds_features(path: Path) -> bool:
    """Whether a file is one that `nearfar embed` has written; false where it cannot be read."""
    return path.suffix in FEATURES and path.is_file() and is_ours(path, rows_path(path))


def joined(several: Sequence[Features]) -> Features:
    """Features of one encoder, one below the other: names and features, and no more."""
    if len(several) == 1:
        return several[0]
    return Features(
        torch.cat([each.features for each in several]),
        [name for each in several for name in each.names],
    )


def _checked(held: Mapping[str, Any]) -> Features:
    """What a file of ours holds, once all of it agrees with its checksums."""
    try:
        said = json.loads(held["about"])
        about = _ABOUT.validate_json(json.dumps(said["about"]), strict=True)
        class_names = said["class_names"]
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        reason = first_line(error)
        raise NearfarError(f"damaged: what it says of itself cannot be read ({reason})") from None
    features, names, labels, parts = (
        held.get(name) for name in ("features", "names", "labels", "parts")
    )
    if features is None or names is None:
        raise NearfarError("damaged: it holds no features or no names")
    if features.shape != (about.rows, about.width) or len(names) != about.rows:
        raise NearfarError(
            f"damaged: {about.rows} rows of {about.width} features were written; there are "
            f"features of shape {features.shape} and {len(names)} names"
        )
    if hashlib.sha256(np.ascontiguousarray(features).data).hexdigest() != about.features_sha256:
        raise NearfarError("damaged: the features are not those that were written; embed again")
    if rows_digest(names, labels, parts, class_names) != about.rows_sha256:
        raise NearfarError("damaged: names or labels are not those that were written; embed again")
    return Features(
        torch.from_numpy(features),
        names,
        None if labels is None else torch.from_numpy(labels),
        None if class_names is None else tuple(class_names),
        parts,
        about,
    )


def _of_others(path: Path, limit_mib: int) -> Features:
    """Features that another program has written."""
    word = str(path)
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            beside = {name: arrays[name] for name in ("names", "labels") if name in arrays.files}
            if "features" in arrays.files:
                word += ":features"
    else:
        beside = {}
    features = read_array(word, limit_mib=limit_mib, setting="limit_mib")
    if features.ndim != 2 or features.dtype.kind not in "fiu" or 0 in features.shape:
        raise NearfarError(
            f"features are numbers of shape (n, dim), not {features.dtype} of {features.shape}"
        )
    features = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
    bad = ~torch.isfinite(features).all(dim=1)
    if bool(bad.any()):
        raise NearfarError(
            f"features are NaN or infinite in {int(bad.sum())} of {len(features)} rows (first: "
            f"{int(bad.nonzero()[0, 0])}): leave those rows out"
        )
    count = len(features)
    names = [str(name) for name in beside["names"].tolist()] if "names" in beside else None
    if names is not None and len(names) != count:
        raise NearfarError(f"{len(names)} names for {count} rows of features")
    labels, class_names = None, None
    if "labels" in beside:
        if len(beside["labels"]) != count:
            raise NearfarError(f"{len(beside['labels'])} labels for {count} rows of features")
        known, codes = np.unique(beside["labels"], return_inverse=True)
        labels = torch.from_numpy(codes.astype(np.int64).reshape(-1))
        class_names = tuple(str(each) for each in known.tolist())
    return Features(features, names or [str(row) for row in range(count)], labels, class_names)
