"""Every tutorial runs from start to end, by itself, and its page on the site is what it says."""

import ast
import os
import subprocess
import sys

import pytest
from tools.docs_site import ROOT, TUTORIALS, notebook_as_markdown

PAGE = (ROOT / "docs" / "tutorials.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=[each.stem for each in TUTORIALS])
def test_tutorial_runs(tutorial, tmp_path):
    here, temporary = tmp_path / "here", tmp_path / "temporary"
    here.mkdir()
    temporary.mkdir()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(temporary)}
    done = subprocess.run(
        [sys.executable, str(tutorial)],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=[each.stem for each in TUTORIALS])
def test_page_of_a_tutorial_has_all_of_its_code_and_begins_with_its_title(tutorial):
    text = tutorial.read_text()
    page = notebook_as_markdown(text)
    title = page.splitlines()[0].removeprefix("# ")
    assert f"[{title}](tutorials/{tutorial.name})" in PAGE
    code = "\n".join(part.removeprefix("python\n") for part in page.split("```")[1::2])
    assert ast.dump(ast.parse(code)) == ast.dump(ast.parse(text))
    assert "# %%" not in page


def test_a_page_has_text_and_code_by_turns():
    text = "# %% [markdown]\n# # Title\n#\n# Words.\n\n# %%\nx = 1  # one\n\n\n# %%\nprint(x)\n"
    assert notebook_as_markdown(text) == (
        "# Title\n\nWords.\n\n```python\nx = 1  # one\n```\n\n```python\nprint(x)\n```\n"
    )


def test_what_fails_in_a_tutorial_fails_the_test():
    """A claim that no longer holds must end it: each has assertions."""
    assert len(TUTORIALS) == 6
    for tutorial in TUTORIALS:
        tree = ast.parse(tutorial.read_text())
        assert any(isinstance(node, ast.Assert) for node in ast.walk(tree)), tutorial.name
