"""A source from a folder of WAV files."""

from statistics import median

import numpy as np
import torch

from nearfar.data.file_reading import FileReader
from nearfar.data.folder_listing import list_parts, lost_classes, part_of
from nearfar.data.source import Part, Source
from nearfar.data.specs import WavSpec
from nearfar.data.splits import split_with_note
from nearfar.data.wav_files import SOUNDS, Sound, read_wav
from nearfar.errors import NearfarError, SettingError


def load_wav(spec: WavSpec) -> Source:
    """Read a folder of WAV files of one sampling rate, laid out as a folder of images.

    Sounds are cut at the end, or go on with silence, to `spec.length` steps: the median length
    where it is left out.

    Args:
        spec: `root`, `length`, `test_fraction`, `max_corrupt`, `in_memory_mib` and `workers`.

    Returns:
        The source, held in memory, with file names relative to `root`.

    Raises:
        NearfarError: If there are no files, too many unreadable ones, several rates or numbers of
            channels, or classes do not fit.
        SettingError: If the sounds are larger than `in_memory_mib`.
    """
    root = spec.root
    assert root is not None
    listings, notes = list_parts(root, SOUNDS)
    for listing in listings:
        notes += listing.notes
    files = [path for listing in listings for path in listing.files]
    # Told by the files, before any is decoded; as float32, samples take up to 4 times as much.
    held = sum(path.stat().st_size for path in files if path.exists())
    if held > spec.in_memory_mib * 2**20:
        raise SettingError(
            f"{root}: {held / 2**20:.0f} MiB of sound, over data.in_memory_mib="
            f"{spec.in_memory_mib}: raise it, or cut the files"
        )
    reader = FileReader(
        root,
        total=len(files),
        kind=SOUNDS.name,
        max_corrupt=spec.max_corrupt,
        threads=spec.workers,
    )
    sounds = reader.keep_good(read_wav, files)
    _check_alike(list(sounds.values()), str(root))
    lengths = [sound.samples.shape[1] for sound in sounds.values()]
    length = spec.length or int(median(lengths))
    if set(lengths) != {length}:
        notes.append(
            f"sounds of {min(lengths)} to {max(lengths)} steps are brought to {length}: cut, or "
            "filled with silence; data.length changes that"
        )

    parts: list[Part] = []
    classes: list[str] | None = None
    for listing in listings:
        rows = [row for row, path in enumerate(listing.files) if path in sounds]
        if not rows:
            which = "test" if parts else "train"
            raise NearfarError(f"{root}: not one sound of the {which} part can be read")
        notes += lost_classes(listing, rows, SOUNDS)
        series = np.stack([_at_length(sounds[listing.files[row]].samples, length) for row in rows])
        part, classes = part_of(
            listing, rows, torch.from_numpy(series), root=root, classes=classes, kind=SOUNDS
        )
        parts.append(part)
    notes += reader.notes()
    train, test = parts[0], parts[1] if len(parts) > 1 else None
    if test is None:
        train, test, note = split_with_note(
            train, spec.test_fraction, missing="no test part", examples="sounds"
        )
        notes += note
    class_names = None if classes is None else tuple(classes)
    return Source("wav", train, test, class_names=class_names, notes=tuple(notes))


def _check_alike(sounds: list[Sound], root: str) -> None:
    """Refuse what cannot be one set of series without resampling or mixing."""
    rates = sorted({sound.rate for sound in sounds})
    if len(rates) > 1:
        raise NearfarError(
            f"{root}: sampling rates of {rates[0]} to {rates[-1]} Hz; resample all files to one"
        )
    channels = sorted({len(sound.samples) for sound in sounds})
    if len(channels) > 1:
        raise NearfarError(
            f"{root}: files of {channels[0]} and of {channels[-1]} channels; mix all to one number"
        )


def _at_length(samples: np.ndarray, length: int) -> np.ndarray:
    """The first steps, or all of them and silence."""
    missing = max(0, length - samples.shape[1])
    return np.pad(samples[:, :length], ((0, 0), (0, missing)))
