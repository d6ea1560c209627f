"""CIFAR-10 and CIFAR-100 from the files of their "python version"."""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from numpy import ndarray

from nearfar.data.downloads import found_folder
from nearfar.data.folder_tree import some
from nearfar.data.labels import encode_labels
from nearfar.data.source import Part, Source
from nearfar.data.specs import CIFARSpec
from nearfar.errors import NearfarError
from nearfar.outside_text import first_line, printable

_ROW = 3 * 32 * 32


@dataclass(frozen=True)
class _Layout:
    """Where one of the two sets keeps what."""

    title: str
    torchvision_name: str
    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    names: str
    names_key: str
    labels_key: str


_LAYOUTS = {
    "cifar10": _Layout(
        title="CIFAR-10",
        torchvision_name="CIFAR10",
        folder="cifar-10-batches-py",
        archive="cifar-10-python.tar.gz",
        train=tuple(f"data_batch_{number}" for number in range(1, 6)),
        test="test_batch",
        names="batches.meta",
        names_key="label_names",
        labels_key="labels",
    ),
    "cifar100": _Layout(
        title="CIFAR-100",
        torchvision_name="CIFAR100",
        folder="cifar-100-python",
        archive="cifar-100-python.tar.gz",
        train=("train",),
        test="test",
        names="meta",
        names_key="fine_label_names",
        labels_key="fine_labels",
    ),
}


def load_cifar(spec: CIFARSpec) -> Source:
    """Read CIFAR-10, or CIFAR-100 with its 100 fine labels.

    torchvision downloads it; its own reader would unpickle the files, which executes what is in
    them, so they are read with `read_pickled_dict` and need no known checksum.

    Returns:
        50 000 images to learn from and 10 000 for test, 3×32×32.

    Raises:
        NearfarError: If files are missing or damaged.
    """
    layout = _LAYOUTS[spec.name]
    places = [spec.folder / layout.folder, spec.folder]
    files = (*layout.train, layout.test, layout.names)
    folder = found_folder(
        spec,
        places,
        lambda place: all((place / file).is_file() for file in files),
        layout.torchvision_name,
        missing=f"{layout.title} is not in {spec.folder}: unpack {layout.archive} there, so that "
        f"{places[0] / layout.test} exists, name another folder with --data.root, or fetch it with "
        "--data.download",
    )
    class_names = _class_names(folder / layout.names, layout.names_key)
    train = _read_part([folder / file for file in layout.train], layout, len(class_names))
    test = _read_part([folder / layout.test], layout, len(class_names))
    return Source(spec.name, train, test, class_names=class_names)


def _class_names(path: Path, key: str) -> tuple[str, ...]:
    """Names of the classes, in order."""
    names = _entry(read_pickled_dict(path), key, path)
    if not isinstance(names, list) or not all(isinstance(name, str | bytes) for name in names):
        raise NearfarError(f"{path}: {key} is no list of names; fetch it again")
    return tuple(name if isinstance(name, str) else name.decode("latin1") for name in names)


def _read_part(paths: list[Path], layout: _Layout, classes: int) -> Part:
    """The images and labels of some batches, one after the other."""
    images, labels = [], []
    for path in paths:
        batch = read_pickled_dict(path)
        images.append(_pixels(_entry(batch, "data", path), path))
        found = _entry(batch, layout.labels_key, path)
        if not isinstance(found, list) or not all(isinstance(label, int) for label in found):
            raise NearfarError(f"{path}: {layout.labels_key} is no list of numbers; fetch it again")
        encoded, _ = encode_labels(
            found, len(images[-1]), what=f"{path}: {layout.labels_key}", classes=range(classes)
        )
        labels.append(encoded)
    return Part(torch.from_numpy(np.concatenate(images)), torch.cat(labels))


def _pixels(data: Any, path: Path) -> UInt8[ndarray, "n 3 32 32"]:
    """A batch's rows as images: 1024 red, 1024 green, 1024 blue values, row by row."""
    if not isinstance(data, ndarray) or data.ndim != 2 or data.shape[1] != _ROW:
        raise NearfarError(f"{path}: data is no table of {_ROW} bytes an image; fetch it again")
    return data.reshape(-1, 3, 32, 32)


def _entry(batch: dict[str, Any], key: str, path: Path) -> Any:
    """One entry of a batch, or an error that names what is there."""
    if key not in batch:
        keys = [printable(name, longest=40) for name in batch]
        raise NearfarError(f"{path}: no {key}, only {some(keys)}; fetch it again")
    return batch[key]


_LARGEST_FILE = 512 * 2**20
_BYTE_NAMES = ("u1", b"u1", "|u1", b"|u1")
_ARRAY_MAKERS = {
    ("numpy.core.multiarray", "_reconstruct"): "array",
    ("numpy._core.multiarray", "_reconstruct"): "array",
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}


def read_pickled_dict(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays of bytes, text, numbers and lists.

    Args:
        path: A file as CIFAR's makers wrote it with Python 2, or the like written with Python 3.

    Returns:
        The dictionary. Keys are text; text among the values stays bytes where Python 2 wrote it.

    Raises:
        NearfarError: If the file is damaged or names anything beyond arrays of bytes.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError("far larger than any CIFAR file")
        content = _Machine().run(path.read_bytes())
        if not isinstance(content, dict):
            raise ValueError("holds no dictionary")
        return {key: _plain(value) for key, value in content.items()}
    # Hostile opcodes end in nearly any exception; none of them has run anything.
    except Exception as error:
        reason = first_line(error)
        raise NearfarError(f"{path}: not a CIFAR file ({reason}); fetch it again") from None


@dataclass
class _Described:
    """What a file says of one of the functions that make an array; never a function itself."""

    name: str
    arguments: tuple = ()
    state: Any = None


_MARK = object()


@dataclass
class _Machine:
    """A stack, a memory, and the instructions that plain data need."""

    stack: list[Any] = field(default_factory=list)
    memory: dict[Any, Any] = field(default_factory=dict)

    def run(self, content: bytes) -> Any:
        """Carry out a file's instructions; gives what they leave behind."""
        for opcode, argument, _ in pickletools.genops(content):
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in _NUMBERS:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _BYTES:  # Python 2's text
                self.stack.append(
                    argument.encode("latin1") if isinstance(argument, str) else argument
                )
            elif name in _PUTS:
                self.memory[len(self.memory) if argument is None else argument] = self.stack[-1]
            elif name in _GETS:
                self.stack.append(self.memory[argument])
            elif name in _TUPLES:
                self.stack.append(tuple(self.popped(_TUPLES[name])))
            elif name in _STEPS:
                _STEPS[name](self, argument)
            elif name not in ("PROTO", "FRAME"):
                raise ValueError(f"instruction {name}, which plain data do not need")
        raise ValueError("cut short")

    def popped(self, count: int) -> list[Any]:
        """The last values of the stack, in order."""
        if count > len(self.stack):
            raise ValueError("takes more values than there are")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def since_mark(self) -> list[Any]:
        """The values after the last mark, which goes with them."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def name(self, module: Any, name: Any) -> None:
        """What a file names, of the few that a pickled array needs; all else is refused."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("names something by no text")
        if (module, name) not in _ARRAY_MAKERS:
            raise ValueError(f"names {module}.{name}, which is no part of an array")
        self.stack.append(_Described(_ARRAY_MAKERS[module, name]))

    def reduce(self) -> None:
        """Record what a function would be called with."""
        described, arguments = self.popped(2)
        if not isinstance(described, _Described) or not isinstance(arguments, tuple):
            raise ValueError("calls something that is no function")
        if described.name != "encode":
            self.stack.append(_Described(described.name, arguments))
            return
        text, encoding = arguments  # how Python 3 writes bytes for Python 2
        if not isinstance(text, str) or encoding not in ("latin1", b"latin1"):
            raise ValueError("text in another encoding than latin1")
        self.stack.append(text.encode("latin1"))

    def build(self) -> None:
        """Record the state that an object would be given."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], _Described):
            raise ValueError("gives a state to what is no array")
        self.stack[-1].state = state

    def extend(self, values: list[Any]) -> None:
        """Put values at the end of the list below them."""
        if not isinstance(self.stack[-1], list):
            raise ValueError("appends to what is no list")
        self.stack[-1].extend(values)

    def update(self, values: list[Any]) -> None:
        """Put keys and values, by turns, into the dictionary below them."""
        self.stack[-1] |= _dictionary(values)


_Step = Callable[[_Machine, Any], object]
_STEPS: dict[str, _Step] = {
    "MARK": lambda machine, _: machine.stack.append(_MARK),
    "POP": lambda machine, _: machine.stack.pop(),
    "POP_MARK": lambda machine, _: machine.since_mark(),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "LIST": lambda machine, _: machine.stack.append(machine.since_mark()),
    "DICT": lambda machine, _: machine.stack.append(_dictionary(machine.since_mark())),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "APPEND": lambda machine, _: machine.extend(machine.popped(1)),
    "APPENDS": lambda machine, _: machine.extend(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.update(machine.popped(2)),
    "SETITEMS": lambda machine, _: machine.update(machine.since_mark()),
    "GLOBAL": lambda machine, argument: machine.name(*argument.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.name(*machine.popped(2)),
    "REDUCE": lambda machine, _: machine.reduce(),
    "BUILD": lambda machine, _: machine.build(),
}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_BYTES = frozenset(
    (
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    )
)
_NUMBERS = frozenset(
    (
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    )
)


def _dictionary(values: list[Any]) -> dict[str, Any]:
    """Keys and values by turns; keys are text, so that hashing them costs what they weigh."""
    keys = values[::2]
    if len(values) % 2 or not all(isinstance(key, str | bytes) for key in keys):
        raise ValueError("a dictionary whose keys are no text")
    texts = [key.decode("latin1") if isinstance(key, bytes) else key for key in keys]
    return dict(zip(texts, values[1::2], strict=True))


def _plain(value: Any) -> Any:
    """The array that is described; any other value as it is."""
    return _to_array(value) if isinstance(value, _Described) else value


def _to_array(described: _Described) -> UInt8[ndarray, "..."]:
    """The array of bytes, from its recorded parts."""
    _, shape, kind, column_major, content = described.state
    if described.name != "array" or not isinstance(kind, _Described) or kind.name != "dtype":
        raise ValueError("an array of something other than bytes")
    if kind.arguments[0] not in _BYTE_NAMES or not isinstance(content, bytes):
        raise ValueError("an array of something other than bytes")
    if not isinstance(shape, tuple) or not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError("an array whose shape is no row of whole numbers")
    if len(shape) > 8 or max(shape, default=0) > len(content) or prod(shape) != len(content):
        raise ValueError(f"{len(content)} bytes for an array of another shape")
    flat = np.frombuffer(content, dtype=np.uint8)
    return flat.reshape(shape, order="F" if column_major is True else "C")
