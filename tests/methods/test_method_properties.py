"""Every method of the catalogue can do what a method must, or says why it cannot."""

import pytest
from cases.methods import CASES, LEARNS, default, sized
from tools.markdown import section_of
from tools.methods_table import COLUMNS, PAGE, learns, quick_cells

from nearfar.errors import SettingError
from nearfar.methods.method_spec import MethodSpec
from nearfar.testing.methods import (
    EXAMPLES,
    is_the_same_in_parts,
    is_the_same_on_ranks,
    keeps_its_word_on_labels,
    outcomes_on_ranks,
    takes_steps,
)
from nearfar.testing.resuming import resumes_to_the_same_bits

LEAST_GAIN = 3.0
"""Points of kNN accuracy on digits."""

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)


@pytest.fixture(scope="module")
def on_ranks(tmp_path_factory):
    outcomes = outcomes_on_ranks(CASES, tmp_path_factory.mktemp("ranks"))
    return {case.title: [[each[i]] for each in outcomes] for i, case in enumerate(CASES)}


@every_case
def test_two_ranks_are_one_process_with_the_global_batch(case, on_ranks):
    if "2 ranks" in case.apart:
        with pytest.raises(AssertionError, match="not close"):
            is_the_same_on_ranks(case, on_ranks[case.title])
    else:
        is_the_same_on_ranks(case, on_ranks[case.title])


@every_case
def test_in_parts_it_is_the_whole_batch(case):
    if "in parts" in case.apart:
        with pytest.raises(SettingError, match="some splits fewer than 2"):
            is_the_same_in_parts(case)
    else:
        is_the_same_in_parts(case)


@every_case
def test_a_run_that_was_cut_goes_on_to_the_same_bits(case):
    resumes_to_the_same_bits(case.seeded)


@every_case
@pytest.mark.parametrize("modality", EXAMPLES)
def test_it_takes_steps_on_every_kind_of_examples_or_says_why_not(case, modality):
    if case.spec.needs_steps and modality == "vectors":
        with pytest.raises(SettingError, match="CPC predicts later steps"):
            takes_steps(case, modality)
    elif case.spec.name == "distill" and modality != "images":
        with pytest.raises(SettingError, match=r"method.teacher does not fit these data"):
            takes_steps(case, modality)
    elif getattr(case.spec, "batch_norm_splits", 1) > 1 and modality == "texts":
        with pytest.raises(SettingError, match="the encoder has no batch-norm to split"):
            takes_steps(case, modality)
    else:
        takes_steps(case, modality)


@every_case
def test_labels_are_needed_where_the_spec_says_so(case):
    keeps_its_word_on_labels(case)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.spec.second_side is None],
    ids=lambda case: case.title,
)
def test_it_learns_digits(case, tmp_path):
    before, after = learns(case, tmp_path / "run")
    assert (after > before + LEAST_GAIN) == (LEARNS not in case.apart)


def test_every_method_has_a_case_in_its_default_settings():
    defaults = {sized(default(kind)) for kind in MethodSpec.known().values()}
    assert defaults <= {case.spec for case in CASES}


def rows_of(text: str) -> dict[str, list[str]]:
    """Cells by the first of their line."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {first: rest for first, *rest in cells}


def test_the_page_lists_every_method_and_no_failure():
    rows = rows_of(section_of(PAGE.read_text(), "methods"))
    assert list(rows) == ["method", "---", *(case.title for case in CASES)], (
        "run `python -m tools.methods_table`"
    )
    assert rows["method"] == list(COLUMNS)
    assert not any("fails" in cell for cells in rows.values() for cell in cells)


def test_cells_of_the_page_are_what_a_check_finds():
    """Of labels and kinds of examples, which take no time; the others are ✓ or a reason."""
    rows = rows_of(section_of(PAGE.read_text(), "methods"))
    for case in CASES:
        cells = dict(zip(COLUMNS, rows[case.title], strict=True))
        quick = quick_cells(case)
        assert {column: cells[column] for column in quick} == quick
        for column in ("2 ranks", "in parts", "resume"):
            reason = case.apart.get(column)
            assert cells[column] == ("✓" if reason is None else f"no: {reason}")
