"""Many pairs are opened undecoded; for one that cannot be read another stands in as a whole."""

import io
import tarfile

import pytest
import torch
from few_batches import few_batches
from PIL import Image

from nearfar.data import late_checks, streamed_images
from nearfar.data.checked_when_read import CheckedWhenRead
from nearfar.data.paired_specs import (
    CaptionedFolderSpec,
    CaptionedTableSpec,
    ImagePairsFolderSpec,
    ImagePairsTableSpec,
    WebDatasetSpec,
)
from nearfar.data.source import JoinedExamples, StreamedExamples, choose
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError
from nearfar.text_bytes import decoded

COUNT, LOST = 40, (3, 22, 23)
KINDS = ["captioned folder", "captioned table", "tar files", "two folders", "table of two"]


def picture(grey, *, cut=False):
    held = io.BytesIO()
    Image.new("L", (6, 6), grey).save(held, "PNG")
    return held.getvalue()[: -30 if cut else None]


def write(kind, root, lost=()):
    """Forty images of greys 0 to 39 in two classes; what is beside each tells its grey."""
    held = {}
    for grey in range(COUNT):
        name = f"{'ab'[grey // 20]}/{grey:02d}"
        first = "one/" if kind == "two folders" else ""
        held[f"{first}{name}.png"] = picture(grey, cut=grey in lost)
        if kind in ("captioned folder", "tar files"):
            held[f"{name}.txt"] = f"of grey {grey}".encode()
        if kind == "tar files":
            held[f"{name}.cls"] = b"ab"[grey // 20 :][:1]
        if kind in ("two folders", "table of two"):
            held[f"two/{name}.png"] = picture(grey)
    lines = []
    for grey in range(COUNT):
        name = f"{'ab'[grey // 20]}/{grey:02d}.png"
        beside = f"two/{name}" if kind == "table of two" else f"it is of grey {grey}"
        lines += [f"{name},{beside},{name[0]}"] * (1 + grey % 2)  # of some images two texts
    root.mkdir(exist_ok=True)
    if kind == "tar files":
        with tarfile.open(root / "0.tar", "w") as archive:
            for name, content in held.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        return root
    for name, content in held.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    if "table" in kind:
        (root / "table.csv").write_text("\n".join(["path,beside,label", *lines]))
    return root


def load(kind, root, **changes):
    spec = {
        "captioned folder": CaptionedFolderSpec,
        "captioned table": CaptionedTableSpec,
        "tar files": WebDatasetSpec,
        "two folders": ImagePairsFolderSpec,
        "table of two": ImagePairsTableSpec,
    }[kind]
    place = root / "table.csv" if "table" in kind else root
    settings = {"second_image_size": 4} if issubclass(spec, _OF_IMAGES) else {}
    settings |= {"in_memory_mib": 1, "image_size": 192, "max_corrupt": 0.1}
    return load_source(spec(root=place, **settings | changes))


_OF_IMAGES = (ImagePairsFolderSpec, ImagePairsTableSpec)


@pytest.fixture(autouse=True)
def many(monkeypatch):
    """So few count as many."""
    monkeypatch.setattr(late_checks, "AT_ONCE", 10)


def told(beside):
    """The greys that texts, or second images, tell."""
    if beside.ndim == 2:
        return [int(text.split()[-1]) for text in decoded(beside)]
    return beside[:, 0, 0, 0].tolist()


def epoch(part, *, workers=0, first_step=0, rank=0, ranks=1):
    """Of each batch the greys of its images, what their seconds tell, and the numbers."""
    numbers = 10 * torch.arange(len(part))
    batches = few_batches(
        part, workers=workers, rank=rank, ranks=ranks, partners=part.partners, numbers=numbers
    )
    draws = torch.Generator().manual_seed(0)
    return [
        (images[:, 0, 0, 0].tolist(), told(batches.beside(indices, draws)), indices.tolist())
        for images, _, indices in batches.epoch(1, first_step)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_stands_in_whole_and_all_else_stays(tmp_path, kind, monkeypatch):
    intact = epoch(load(kind, write(kind, tmp_path / "intact")).train)
    root = write(kind, tmp_path / "data", LOST)
    with monkeypatch.context() as context:
        if "two" not in kind:  # what is held in memory must be decoded
            context.setattr(streamed_images, "read_image", lambda *_: pytest.fail("decoded"))
        source = load(kind, root)
    assert isinstance(source.train.examples, CheckedWhenRead)
    found, seen = epoch(source.train), 0
    for (greys, beside, numbers), (before, _, same) in zip(found, intact, strict=True):
        assert numbers == same
        assert beside == greys
        for grey, lost in zip(greys, before, strict=True):
            if lost not in LOST:
                assert grey == lost
                continue
            seen += 1
            assert grey != lost
            assert grey // 20 == lost // 20
    assert len(source.faults) == seen > 0
    (note,) = source.faults.notes()
    assert "40 images cannot be read, and another, with what is beside it, stands in for" in note


def test_whoever_reads_when_gets_the_same_pairs(tmp_path):
    kind = "captioned table"
    root = write(kind, tmp_path / "data", LOST)
    first = load(kind, root)
    batches, found = epoch(first.train), first.faults.all()
    again = load(kind, root)
    assert epoch(again.train, workers=2) == batches
    assert again.faults.all() == found
    # An account that is known already, as after a kill, keeps no pair from being told of.
    assert epoch(again.train, workers=2) == batches
    ranks = [epoch(load(kind, root).train, rank=rank, ranks=2) for rank in range(2)]
    for (images, _, numbers), *shares in zip(batches, *ranks, strict=True):
        assert images == shares[0][0] + shares[1][0]
        assert numbers == shares[0][2] + shares[1][2]
        assert all(greys == beside for greys, beside, _ in shares)
    for (images, beside, _), whole in zip(
        epoch(load(kind, root).train, first_step=3, workers=2), batches[3:], strict=True
    ):
        assert images == beside == whole[0]


def test_a_pair_that_nothing_can_stand_for_ends_in_one_line(tmp_path):
    source = load("captioned folder", write("captioned folder", tmp_path / "data", LOST))
    row = source.train.names.index("b/22.png")
    alone = choose(source.train, torch.tensor([row, row, row, row]))
    with pytest.raises(NearfarError, match="nor any of 40 that were to stand in") as error:
        epoch(alone)
    assert "\n" not in str(error.value)


def test_what_is_joined_or_chosen_says_whose_example_it_gives(tmp_path):
    source = load("captioned folder", write("captioned folder", tmp_path / "data", LOST))
    train, row = source.train.examples, source.train.names.index("b/22.png")
    given = train.given(row)[1]
    assert given not in (row, -1)
    joined = JoinedExamples(torch.zeros(5, *train.shape, dtype=torch.uint8), train)
    assert [joined.given(each)[1] for each in (2, row + 5, 6)] == [2, given + 5, 6]
    rows = torch.tensor([row + 5, 3, given + 5])
    chosen = StreamedExamples.take(joined, rows)
    assert [chosen.given(each)[1] for each in range(3)] == [2, 1, 2]
    assert StreamedExamples.take(joined, rows[:2]).given(0)[1] == -1
    for place, each in ((0, row + 5), (1, 3)):
        assert torch.equal(chosen[place], joined[each])
