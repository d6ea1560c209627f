"""Every method of the catalogue can do what a method must, or says why it cannot."""

import pytest
from tests.methods.method_properties import (
    CASES,
    EXAMPLES,
    LEARNS,
    Case,
    learns,
    needs_labels,
    outcomes_on_ranks,
    refusal_of,
    resumes,
    same_in_parts,
    same_on_ranks,
)
from tools.methods_table import COLUMNS, PAGE, section_of

from nearfar.methods.specs import MethodSpec

LEAST_GAIN = 3.0
"""Points of kNN accuracy on digits."""

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)


@pytest.fixture(scope="module")
def on_ranks(tmp_path_factory):
    return outcomes_on_ranks(tmp_path_factory.mktemp("ranks"))


@every_case
def test_two_ranks_are_one_process_with_the_global_batch(case, on_ranks):
    assert same_on_ranks(case, on_ranks) == ("2 ranks" not in case.apart)


@every_case
def test_in_parts_it_is_the_whole_batch(case):
    assert same_in_parts(case) == ("in parts" not in case.apart)


@every_case
def test_a_run_that_was_cut_goes_on_to_the_same_bits(case, tmp_path):
    assert resumes(case, tmp_path)


@every_case
@pytest.mark.parametrize("modality", EXAMPLES)
def test_it_takes_steps_on_every_kind_of_examples_or_says_why_not(case, modality):
    refusal = refusal_of(case, modality)
    if refusal is not None:
        assert modality == "vectors"
        assert "CPC predicts later steps" in refusal


@every_case
def test_labels_are_needed_where_the_catalogue_says_so(case):
    assert needs_labels(case) == case.config.reads_labels


@pytest.mark.slow
@every_case
def test_it_learns_digits(case, tmp_path):
    before, after = learns(case, tmp_path / "run")
    assert (after > before + LEAST_GAIN) == (LEARNS not in case.apart)


def test_every_method_has_a_case_in_its_default_settings():
    assert {kind() for kind in MethodSpec.choices.values()} <= {case.config for case in CASES}


def rows_of(text: str) -> dict[str, list[str]]:
    """Cells by the first of their line."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_the_page_lists_every_method_and_no_failure():
    rows = rows_of(section_of(PAGE.read_text()))
    assert list(rows) == ["method", "---", *(case.title for case in CASES)], (
        "run `python -m tools.methods_table`"
    )
    assert rows["method"] == list(COLUMNS)
    assert not any("fails" in cell for cells in rows.values() for cell in cells)


def test_cells_of_the_page_are_what_a_check_finds():
    """Of labels and kinds of examples, which take no time; the others are ✓ or a reason."""
    rows = rows_of(section_of(PAGE.read_text()))
    for case in CASES:
        cells = dict(zip(COLUMNS, rows[case.title], strict=True))
        assert cells["labels"] == ("needed" if needs_labels(case) else "not needed")
        for column in ("2 ranks", "in parts", "resume"):
            reason = case.apart.get(column)
            assert cells[column] == ("✓" if reason is None else f"no: {reason}")
        for modality in EXAMPLES:
            refusal = refusal_of(case, modality)
            assert cells[modality] == ("✓" if refusal is None else f"no: {refusal}")


def test_a_method_that_cannot_be_in_parts_is_found_out():
    """The checks themselves: batch-norm over parts of a batch is not that of the whole."""
    split = next(case for case in CASES if "in parts" in case.apart)
    assert not same_in_parts(Case(split.title, split.config))
