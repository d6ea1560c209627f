"""Characters drawn from fonts: which faces are taken, how they are parted, what is drawn."""

import shutil
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from tools import debian_data

from nearfar.data import drawn_characters, fonts
from nearfar.data.font_faces import CAPITALS, DIGITS, SMALL, find_faces
from nearfar.data.font_specs import FontsSpec
from nearfar.data.sources import load_source
from nearfar.errors import NearfarError, SettingError

SHIPPED = Path(matplotlib.get_data_path()) / "fonts/ttf"
TEXT = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "STIXGeneral.ttf")
ALL = DIGITS + CAPITALS + SMALL


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def a_folder(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(SHIPPED / name, folder / name)
    return folder


def test_faces_of_one_name_and_of_one_look_are_one_family(tmp_path):
    root = a_folder(tmp_path / "fonts", *TEXT, "STIXGeneralItalic.ttf")
    found = find_faces(root, ALL)
    by_name = [sorted(face.path.name for face in family) for family in found.families]
    assert sorted(by_name) == [
        ["DejaVuSans-Bold.ttf", "DejaVuSans.ttf"],
        ["DejaVuSerif.ttf"],
        ["STIXGeneral.ttf", "STIXGeneralItalic.ttf"],
    ]
    assert found.notes == ()


def test_a_clone_under_another_name_is_no_family_of_its_own(tmp_path):
    from fontTools.ttLib import TTFont

    root = a_folder(tmp_path / "fonts", *TEXT)
    clone = TTFont(root / "DejaVuSerif.ttf")
    for record in clone["name"].names:
        record.string = "Somebody Else's\x1b[31m Serif"
    clone.save(root / "clone.ttf")
    families = find_faces(root, ALL).families
    assert {len(family) for family in families if "Serif" in family[0].family} == {2}


def test_what_has_no_letters_is_left_out_and_counted(tmp_path):
    root = a_folder(tmp_path / "fonts", *TEXT, "STIXSizOneSymReg.ttf", "cmsy10.ttf", "cmex10.ttf")
    (root / "broken.ttf").write_bytes((root / TEXT[0]).read_bytes()[:3000])
    (root / "no font.otf").write_text("hello")
    shutil.copy(root / TEXT[0], root / "again.ttf")
    (root / "licence.txt").write_text("free")
    found = find_faces(root, ALL)
    assert sorted(len(family) for family in found.families) == [1, 1, 2]
    said = " ".join(found.notes)
    assert "left out 6 of 10 fonts" in said
    assert "1 there twice" in said
    assert "2 damaged" in said
    assert "without all 62 characters" in said
    assert ".txt" in said


def test_a_font_of_capitals_alone_has_no_small_letters(tmp_path):
    from fontTools.ttLib import TTFont

    root = a_folder(tmp_path / "fonts", *TEXT)
    capitals = TTFont(root / "DejaVuSerif.ttf")
    for table in capitals["cmap"].tables:
        for small, capital in zip(SMALL, CAPITALS, strict=True):
            if ord(capital) in table.cmap:
                table.cmap[ord(small)] = table.cmap[ord(capital)]
    capitals.save(root / "DejaVuSerif.ttf")
    assert "1 without small letters of their own" in find_faces(root, ALL).notes[0]
    assert find_faces(root, DIGITS + CAPITALS).notes == ()


def test_symbols_under_the_codes_of_letters_are_told_from_letters(tmp_path):
    from fontTools.ttLib import TTFont

    root = a_folder(tmp_path / "fonts", *TEXT)
    symbols = TTFont(root / "DejaVuSans.ttf")
    arrows = [name for code, name in sorted(symbols.getBestCmap().items()) if code >= 0x2190]
    for table in symbols["cmap"].tables:
        for place, letter in enumerate(ALL):
            if ord(letter) in table.cmap:
                table.cmap[ord(letter)] = arrows[place]
    symbols.save(root / "symbols.ttf")
    assert "1 with symbols or ornaments for characters" in find_faces(root, ALL).notes[0]


def spec_of(root: Path, **changes) -> FontsSpec:
    return FontsSpec(root=root, characters=10, examples=200, test_fraction=0.34, **changes)


def test_every_character_is_drawn_as_often_and_no_family_is_in_two_parts(tmp_path, monkeypatch):
    root = a_folder(tmp_path / "fonts", *TEXT)
    parts = []

    def noted(families, *given, **more):
        parts.append({face.sha256 for family in families for face in family})
        return drawn_characters.draw_characters(families, *given, **more)

    monkeypatch.setattr(fonts, "draw_characters", noted)
    source = load_source(spec_of(root))
    assert len(parts) == 2
    assert not parts[0] & parts[1]
    assert source.class_names == tuple(DIGITS)
    assert (len(source.train), len(source.test)) == (132, 68)
    assert source.train.example_shape == (3, 32, 32)
    assert set(np.bincount(source.train.labels.numpy())) == {13, 14}
    assert source.notes[-1].endswith("fonts of 3 families are drawn, 1 of them for test alone")


def test_the_same_fonts_in_another_place_are_the_same_drawings(tmp_path, monkeypatch):
    first = load_source(spec_of(a_folder(tmp_path / "fonts", *TEXT)))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another cache"))
    moved = load_source(spec_of(a_folder(tmp_path / "else" / "deep", *reversed(TEXT))))
    assert (first.train.examples == moved.train.examples).all()
    assert (first.test.labels == moved.test.labels).all()


def test_drawings_are_kept_for_the_same_settings_and_drawn_again_where_damaged(
    tmp_path, monkeypatch
):
    root = a_folder(tmp_path / "fonts", *TEXT)
    first = load_source(spec_of(root))
    looked = []
    monkeypatch.setattr(fonts, "find_faces", lambda *given: looked.append(1) or find_faces(*given))
    again = load_source(spec_of(root))
    assert not looked
    assert again.notes == first.notes
    assert (again.train.examples == first.train.examples).all()
    load_source(spec_of(root, grounds="plain"))
    assert len(looked) == 1
    for kept in (tmp_path / "cache/nearfar/drawn-fonts").iterdir():
        kept.write_bytes(kept.read_bytes()[:5000])
    assert (load_source(spec_of(root)).train.examples == first.train.examples).all()
    assert len(looked) == 2


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    assert len(load_source(spec_of(a_folder(tmp_path / "fonts", *TEXT))).train) == 132


def test_some_characters_alone_are_drawn_by_the_faces_that_have_all(tmp_path):
    root = a_folder(tmp_path / "fonts", *TEXT)
    source = load_source(spec_of(root, only="71"))
    assert source.class_names == ("7", "1")
    assert set(np.bincount(source.train.labels.numpy())) == {66}
    assert source.notes[-1].endswith("fonts of 3 families are drawn, 1 of them for test alone")
    assert len(load_source(spec_of(root)).class_names) == 10  # kept apart from the others


@pytest.mark.parametrize(
    ("only", "says"),
    [
        ("1A", "data.only has 'A', which is none of the 10 characters: choose from 0123456789"),
        ("7", "name two characters or more"),
        ("", "name two characters or more"),
        ("771", "each once"),
    ],
)
def test_a_choice_of_characters_that_cannot_be_is_refused(only, says):
    with pytest.raises(SettingError, match=says):
        FontsSpec(characters=10, only=only)


@pytest.mark.parametrize("turned", [0.0, 0.5, 1.0])
def test_every_character_is_whole_inside_its_image(tmp_path, turned):
    root = a_folder(tmp_path / "fonts", *TEXT)
    face = find_faces(root, ALL).families[0][0]
    glyphs = drawn_characters._Glyphs(face, 64)
    for character in ALL:
        ink = glyphs.placed(character, np.array([1.0, turned, 0.5, turned]))
        assert ink.shape == (32, 32)
        assert ink.max() > 120, character
        edge = max(ink[0].max(), ink[-1].max(), ink[:, 0].max(), ink[:, -1].max())
        assert edge < 130, (character, edge)


def test_an_ink_stands_out_from_its_ground():
    random = np.random.RandomState(0)
    first = random.random_sample((2000, 3))
    second = np.clip(first + random.uniform(-0.35, 0.35, (2000, 3)), 0, 1)
    luma = np.array([0.299, 0.587, 0.114])
    ink = drawn_characters._inks(first, second, random)
    least = np.minimum(abs((ink - first) @ luma), abs((ink - second) @ luma))
    assert least.min() >= 0.3


def test_a_single_family_is_refused(tmp_path):
    root = a_folder(tmp_path / "fonts", "DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
    with pytest.raises(NearfarError, match=r"one family of fonts .* two are the least"):
        load_source(spec_of(root))


def test_a_missing_folder_says_what_fills_it(tmp_path):
    with pytest.raises(
        SettingError, match=r"there is no .*cache/nearfar/fonts; `make fonts` fills"
    ):
        FontsSpec().require_root()
    with pytest.raises(SettingError, match="no such folder"):
        FontsSpec(root=tmp_path / "none").require_root()


def test_packages_are_unpacked_without_being_installed(tmp_path):
    import subprocess

    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb here")
    inside = tmp_path / "built/usr/share"
    a_folder(inside / "fonts/truetype/x", "DejaVuSans.ttf")
    (inside / "doc/fonts-x").mkdir(parents=True)
    (inside / "doc/fonts-x/copyright").write_text("free")
    (inside / "doc/fonts-x/README").write_text("no font")
    (tmp_path / "built/DEBIAN").mkdir()
    (tmp_path / "built/DEBIAN/control").write_text(
        "Package: fonts-x\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
    )
    package = tmp_path / "fonts-x_1_all.deb"
    subprocess.run(["dpkg-deb", "-b", tmp_path / "built", package], check=True, capture_output=True)
    assert debian_data.unpack(package, tmp_path / "out", debian_data.font_place) == 2
    files = sorted(path.relative_to(tmp_path / "out") for path in (tmp_path / "out").rglob("*.*"))
    assert files == [Path("fonts-x/.copyright"), Path("fonts-x/x/DejaVuSans.ttf")]


def test_a_system_without_debians_tools_is_told_what_else_serves(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NearfarError, match=r"there is no apt-get here: .* --data\.root"):
        debian_data.collect("fonts", tmp_path)
