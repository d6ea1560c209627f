import os

import pytest
from digits_run import write_digits_run
from tools.chromium import Chromium, find_chromium


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """A whole run folder; read it, do not change it."""
    return write_digits_run(tmp_path_factory.mktemp("runs") / "demo")


@pytest.fixture(scope="session")
def browser():
    program = find_chromium()
    if program is None:
        if os.environ.get("NEARFAR_REQUIRE_BROWSER") == "1":
            pytest.fail("NEARFAR_REQUIRE_BROWSER=1, but there is no chromium on the path")
        pytest.skip("there is no chromium on the path")
    with Chromium(program) as running:
        yield running
