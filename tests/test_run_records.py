"""Records of runs in lines of JSON."""

import pytest
from tools.run_records import add_record, is_recorded, read_records

from nearfar.errors import NearfarError


def test_a_record_is_found_by_all_of_its_key(tmp_path):
    file = tmp_path / "runs.jsonl"
    assert read_records(file) == []
    add_record(file, {"set": "a", "seed": 0, "scores": {"knn": 0.5}})
    add_record(file, {"set": "a", "seed": 1, "scores": {}})
    assert [each["seed"] for each in read_records(file)] == [0, 1]
    assert is_recorded(file, {"set": "a", "seed": 1})
    assert not is_recorded(file, {"set": "b", "seed": 1})
    assert not is_recorded(file, {"set": "a", "minutes": 3})


def test_half_a_line_is_told_in_one(tmp_path):
    file = tmp_path / "runs.jsonl"
    file.write_text('{"set": "a"}\n{"set": "b')
    with pytest.raises(NearfarError, match=r"^.*runs\.jsonl, line 2, is damaged: [^\n]*$"):
        read_records(file)
