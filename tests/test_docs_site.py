"""The site of the documentation: every page has a place, and is read as GitHub reads it."""

import re
from pathlib import Path
from types import SimpleNamespace

from tools.docs_site import API, ROOT, TUTORIALS, on_page_markdown

NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:")[2]


def read(markdown, name="page.md"):
    return on_page_markdown(markdown, SimpleNamespace(file=SimpleNamespace(src_uri=name)))


def test_every_page_of_docs_and_every_api_page_has_a_place():
    named = set(re.findall(r"[\w/]+\.md", NAV))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    made = {f"api/{title.lower().replace(' ', '_')}.md" for title in API}
    made |= {f"tutorials/{each.stem}.md" for each in TUTORIALS}
    assert named == pages | made | {"index.md", "changelog.md"}


def test_no_host_is_asked_for_fonts_or_scripts():
    settings = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in settings
    assert "http" not in settings


def test_modules_of_the_api_pages_exist():
    for module in (each for modules in API.values() for each in modules):
        path = ROOT / "src" / Path(*module.split("."))
        assert path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def test_words_behind_a_fences_language_are_taken_off_and_code_is_left_alone():
    code = "```console needs-data\n$ nearfar [a](../b.md)\ntext\n- item\n```\n"
    assert read(code) == code.replace(" needs-data", "")


def test_links_out_of_docs_become_names_and_links_inside_stay():
    assert read("[the loop](../src/loop.py)") == "the loop (`src/loop.py`)"
    assert read("[`src/loop.py`](../src/loop.py)") == "`src/loop.py`"
    assert read("[start](../README.md)") == "[start](index.md)"
    assert (
        read("[data](data.md#a) ![map](theory/x.svg)") == "[data](data.md#a) ![map](theory/x.svg)"
    )
    assert read("[data](docs/data.md)", "index.md") == "[data](data.md)"
    assert read("![top](docs/report.png)", "index.md") == "![top](report.png)"
    assert read("[out](https://example.org)", "index.md") == "[out](https://example.org)"
    assert read("[how](CONTRIBUTING.md)", "index.md") == "how (`CONTRIBUTING.md`)"


def test_a_link_to_a_tutorial_leads_to_its_page():
    link = "[pictures](tutorials/own_pictures.py)"
    assert read(link, "tutorials.md") == "[pictures](tutorials/own_pictures.md)"
    assert read(link, "README.md") == link


def test_a_list_right_below_text_stands_apart_from_it():
    assert read("Text:\n- one\n- two\n  more\n- three\n") == (
        "Text:\n\n- one\n- two\n  more\n- three\n"
    )
    assert read("1. one\n2. two\n") == "1. one\n2. two\n"
    assert read("| `a \\| b` |\n") == "| `a | b` |\n"
    assert read("| a |\n|---|\n") == "| a |\n|---|\n"
