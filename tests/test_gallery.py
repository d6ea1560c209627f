"""The gallery of reports: its page shows what its tool makes, and its commands are right."""

import re
from io import BytesIO

import pytest
from PIL import Image
from tools.gallery.__main__ import PICTURES, ROOT, Arguments, work
from tools.gallery.shown import SHOWN

from nearfar.cli import main
from nearfar.errors import NearfarError

PAGE = (ROOT / "docs" / "gallery.md").read_text()
FENCED = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_commands_of_the_page_are_those_that_the_tool_runs():
    trained = [line for block in FENCED for line in block.splitlines() if line[:7] == "nearfar"]
    assert trained == [each.command for each in SHOWN]
    for each in SHOWN:
        assert each.command.endswith(f" --out runs/gallery/{each.name}")
        assert each.needs is None or each.needs.removeprefix("make ") in FENCED[0]


@pytest.mark.parametrize("shown", SHOWN, ids=[each.name for each in SHOWN])
def test_a_command_chooses_what_there_is(shown, capfd):
    assert main([*shown.words, "--print-config"]) == 0, capfd.readouterr().err


def test_every_picture_is_there_and_small_and_on_the_page():
    named = re.findall(r"!\[[^\]]+\]\(gallery/([\w-]+)\.webp\)", PAGE)
    assert named == [picture.name for each in SHOWN for picture in each.pictures]
    assert sorted(named) == sorted(path.stem for path in PICTURES.iterdir())
    for path in PICTURES.iterdir():
        held = path.read_bytes()
        assert len(held) < 150_000, path.name
        with Image.open(BytesIO(held)) as picture:
            assert picture.format == "WEBP"
            assert picture.width == 1000
            assert len(picture.getcolors(10**6) or range(10**6)) > 100, f"{path.name} is empty"


def test_what_is_not_there_is_told(tmp_path, monkeypatch):
    with pytest.raises(NearfarError, match="nonsense"):
        work(Arguments(only=("nonsense",)))
    monkeypatch.setattr("tools.gallery.__main__.find_chromium", lambda: None)
    with pytest.raises(NearfarError, match="no chromium on the path"):
        work(Arguments(only=("images",), out=tmp_path))
