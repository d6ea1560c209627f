"""OpenMoji: what is read of its package, and the source of what was drawn."""

import csv
import io
import tarfile

import pytest
from PIL import Image
from tools.openmoji import drawn

from nearfar.data.paired_specs import OpenMojiSpec
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError
from nearfar.text_bytes import decoded

COLUMNS = ["hexcode", "group", "annotation", "tags", "openmoji_tags", "skintone"]
ROWS = [
    ["1F600", "smileys-emotion", "grinning face", "face, grin", "happy, face", ""],
    ["1F44B", "people-body", "waving hand", "", "", ""],
    ["1F44B-1F3FB", "people-body", "waving hand: light skin tone", "", "", "1"],
    ["E000", "extras-openmoji", "a brand", "", "", ""],
]


def package(path, rows):
    table = io.StringIO()
    csv.writer(table).writerows([COLUMNS, *rows])
    members = {"package/data/openmoji.csv": table.getvalue()}
    members |= {f"package/color/svg/{row[0]}.svg": f"<svg>{row[0]}</svg>" for row in rows}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    return path


def test_emoji_of_unicodes_groups_are_taken_once_for_all_tones_of_skin(tmp_path):
    found = list(drawn(package(tmp_path / "openmoji.tgz", ROWS)))
    assert found == [
        ("1F600", "grinning face: face, grin, happy", "smileys-emotion", b"<svg>1F600</svg>"),
        ("1F44B", "waving hand", "people-body", b"<svg>1F44B</svg>"),
    ]


def test_another_package_is_refused(tmp_path):
    path = tmp_path / "other.tgz"
    with tarfile.open(path, "w:gz"):
        pass
    for content in (path.read_bytes(), b"nothing"):
        path.write_bytes(content)
        with pytest.raises(NearfarError, match="not the npm package openmoji"):
            list(drawn(path))


def test_what_was_drawn_is_a_source_of_pairs(tmp_path):
    (tmp_path / "images").mkdir()
    lines = ["path,text,group"]
    for number in range(10):
        Image.new("RGB", (72, 72), (20 * number, 0, 0)).save(tmp_path / f"images/{number}.png")
        lines.append(f"images/{number}.png,thing {number},{('objects', 'flags')[number % 2]}")
    spec = OpenMojiSpec(root=tmp_path)
    with pytest.raises(SettingError, match="`make openmoji` draws them"):
        load_source(spec)
    (tmp_path / "openmoji.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = load_source(spec)
    assert source.name == "openmoji"
    assert source.class_names == ("flags", "objects")
    assert source.train.example_shape == (3, 32, 32)
    for part in (source.train, source.test):
        texts = decoded(part.partners.others)
        for row in range(len(part)):
            level = int(part.examples[row, 0, 0, 0]) // 20
            assert texts[int(part.partners.rows[row, 0])] == f"thing {level}"
