"""Small files in the formats of the real sources, and a server to download them from."""

import gzip
import pickle
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image


def idx_bytes(array: np.ndarray) -> bytes:
    header = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def python2_pickle(value) -> bytes:
    """Protocol 2 as Python 2 wrote CIFAR: text as byte strings, numpy's module of that time."""

    def put(value) -> bytes:
        if isinstance(value, str | bytes):
            raw = value.encode("latin1") if isinstance(value, str) else value
            if len(raw) < 256:
                return b"U" + bytes([len(raw)]) + raw
            return b"T" + struct.pack("<i", len(raw)) + raw
        if value is None:
            return b"N"
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        if isinstance(value, list):
            return b"](" + b"".join(map(put, value)) + b"e"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(put, value)) + b"t"
        if isinstance(value, dict):
            return b"}(" + b"".join(put(key) + put(item) for key, item in value.items()) + b"u"
        assert isinstance(value, np.ndarray)
        kind = b"cnumpy\ndtype\n" + put(("u1", 0, 1)) + b"R"
        kind += put((3, "|", None, None, None, -1, -1, 0)) + b"b"
        start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
        start += put((0,)) + put("b") + b"tR"
        state = b"(" + put(1) + put(value.shape) + kind + put(False) + put(value.tobytes()) + b"t"
        return start + state + b"b"

    return b"\x80\x02" + put(value) + b"."


def write_fashion(folder: Path, *, zipped: bool = True, train: int = 30, test: int = 20) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(1)
    for part, count in (("train", train), ("t10k", test)):
        for content, array in (
            ("images-idx3", random.randint(0, 256, (count, 28, 28))),
            ("labels-idx1", np.arange(count) % 10),
        ):
            raw = idx_bytes(array)
            name = f"{part}-{content}-ubyte" + (".gz" if zipped else "")
            (folder / name).write_bytes(gzip.compress(raw, mtime=0) if zipped else raw)
    return folder


def write_cifar(folder: Path, classes: int, *, python: int = 2, count: int = 12) -> Path:
    random = np.random.RandomState(2)
    names = [f"class {number}" for number in range(classes)]
    if classes == 10:
        folder = folder / "cifar-10-batches-py"
        files = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
        labels_key, meta, names_key = "labels", "batches.meta", "label_names"
    else:
        folder = folder / "cifar-100-python"
        files, labels_key, meta, names_key = (
            ["train", "test"],
            "fine_labels",
            "meta",
            "fine_label_names",
        )
    folder.mkdir(parents=True)
    dump = python2_pickle if python == 2 else lambda value: pickle.dumps(value, protocol=2)
    for file in files:
        batch = {
            "batch_label": f"batch {file}",
            labels_key: random.randint(0, classes, count).tolist(),
            "data": random.randint(0, 256, (count, 3072)).astype(np.uint8),
            "filenames": [f"{row}.png" for row in range(count)],
        }
        (folder / file).write_bytes(dump(batch))
    (folder / meta).write_bytes(dump({names_key: names}))
    return folder


def write_stl10(folder: Path, *, unlabelled: int = 5) -> Path:
    folder = folder / "stl10_binary"
    folder.mkdir(parents=True)
    random = np.random.RandomState(3)
    for part, count in (("train", 4), ("test", 3), ("unlabeled", unlabelled)):
        pixels = random.randint(0, 256, (count, 3, 96, 96)).astype(np.uint8)
        pixels.tofile(folder / f"{part}_X.bin")
        if part != "unlabeled":
            labels = random.randint(1, 11, count).astype(np.uint8)
            labels.tofile(folder / f"{part}_y.bin")
    names = ["airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"]
    (folder / "class_names.txt").write_text("\n".join(names) + "\n")
    return folder


def write_images(folder: Path, names: list[str], *, size=(16, 12), mode: str = "RGB") -> None:
    """Write plain images, each of one level that its place in the list gives."""
    for level, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = level if mode == "L" else (level, 100, 200)
        Image.new(mode, size, colour).save(path)


class _SilentHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):  # noqa: A002  (the base class names it so)
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; gives its address."""
    handler = partial(_SilentHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
