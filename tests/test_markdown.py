"""Tables of measured figures, how a mean and its spread are written, and sections of a page."""

import numpy as np
import pytest
from benchmarks.__main__ import bench_names, page_of
from tools.markdown import mean_and_sd, section_of, table, with_section


def test_all_columns_but_the_first_are_to_the_right():
    text = table(["name", "one", "two"], [["a", "1", "2"], ["b", "3", ""]])
    assert text == "| name | one | two |\n| --- | ---: | ---: |\n| a | 1 | 2 |\n| b | 3 |  |\n"


def test_one_value_or_equal_ones_are_the_value():
    assert mean_and_sd([80.04], ".1f") == "80.0"
    assert mean_and_sd([80.04, 80.04, 80.04], ".1f") == "80.0"
    assert mean_and_sd([80.0, 82.0], ".1f") == "81.0 ± 1.4"
    assert mean_and_sd([]) == ""


def test_a_spread_that_rounds_to_nothing_is_written():
    assert mean_and_sd(np.array([0.1234, 0.1235])) == "0.123 ± 0.000"


def test_minus_is_a_minus():
    assert mean_and_sd([-1.0, -2.0]) == "−1.500 ± 0.707"
    assert mean_and_sd([1e-7, 2e-7], ".1e") == "1.5e−07 ± 7.1e−08"


def test_a_section_is_replaced_and_the_rest_stays():
    page = "above\n<!-- one -->\nold\n<!-- /one -->\n<!-- two -->\n<!-- /two -->\nbelow\n"
    found = with_section(page, "one", "new \\1\n")
    assert found == page.replace("old", "new \\1")
    assert section_of(found, "one") == "new \\1\n"
    assert section_of(found, "two") == ""


def test_a_page_without_the_marks_is_left_alone():
    with pytest.raises(SystemExit, match=r"no section one: add <!-- one --> and <!-- /one -->"):
        with_section("<!-- one -->\nno end\n", "one", "new\n")


def test_every_bench_has_its_section():
    for name in bench_names():
        section_of(page_of(name).read_text(), name)
