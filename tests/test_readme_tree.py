"""The README's tree of files is what the files say of themselves."""

from tools.readme_tree import ROOT, with_tree


def test_tree_is_up_to_date():
    page = (ROOT / "README.md").read_text()
    assert with_tree(page) == page, "run `python -m tools.readme_tree`"
