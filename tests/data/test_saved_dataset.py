"""Data sets as Hugging Face's `datasets` saves them: Arrow streams beside two JSON files."""

import json

import pyarrow as pa
import pytest

from nearfar.data.sources import load_source
from nearfar.data.text_specs import TextTableSpec
from nearfar.errors import NearfarError, SettingError
from nearfar.text_bytes import decoded

TEXTS = ["waves on the shore", "a hill by the road", "", "a ship on the sea"]


def _saved(folder, texts=TEXTS, labels=(1, 0, 1, 1), files=2):
    """As `save_to_disk` writes it."""
    folder.mkdir(parents=True)
    table = pa.table({"id": list(range(len(texts))), "text": list(texts), "kind": list(labels)})
    named, at = [], max(1, len(texts) // files)
    for number, first in enumerate(range(0, len(texts), at)):
        part, name = table.slice(first, at), f"data-{number:05d}.arrow"
        with pa.OSFile(str(folder / name), "wb") as out, pa.ipc.new_stream(out, part.schema) as to:
            to.write_table(part)
        named.append({"filename": name})
    (folder / "state.json").write_text(json.dumps({"_data_files": named}))
    features = {"kind": {"names": ["land", "sea"], "_type": "ClassLabel"}}
    (folder / "dataset_info.json").write_text(json.dumps({"features": features}))
    return folder


def _load(folder, **settings):
    return load_source(TextTableSpec(root=folder, label_column="kind", **settings))


def test_one_data_set_with_the_names_of_its_classes(tmp_path):
    source = _load(_saved(tmp_path / "set"), test_fraction=0.0)
    assert decoded(source.train.examples) == [text for text in TEXTS if text]
    assert source.class_names == ("land", "sea")
    assert source.train.labels.tolist() == [1, 0, 1]
    assert source.notes == ("texts are in column text", "left out 1 row without a text")


def test_splits_are_parts(tmp_path):
    for split in ("train", "validation", "test"):
        _saved(tmp_path / split, [f"{split} {text}" for text in TEXTS])
    splits = {"splits": ["train", "validation", "test"]}
    (tmp_path / "dataset_dict.json").write_text(json.dumps(splits))
    source = _load(tmp_path)
    assert decoded(source.train.examples[:1]) == ["train waves on the shore"]
    assert len(source.train) == len(source.test) == 4
    assert all(text.startswith("test") for text in decoded(source.test.examples))
    assert "passed over the splits validation" in source.notes
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "validation"]}))
    assert decoded(_load(tmp_path).test.examples[:1]) == ["validation waves on the shore"]


def test_what_is_no_such_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NearfarError, match=r"state.json is missing or damaged: give a table"):
        _load(tmp_path / "empty")
    folder = _saved(tmp_path / "set")
    with pytest.raises(SettingError, match=r"over data.in_memory_mib=0"):
        _load(folder, in_memory_mib=0)
    state = json.loads((folder / "state.json").read_text())
    (folder / state["_data_files"][0]["filename"]).write_bytes(b"no arrow file")
    with pytest.raises(NearfarError, match=r"not a readable Arrow file"):
        _load(folder)
    for name, told in (("../other.arrow", "no name of a file"), ("x.arrow", "not a readable")):
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
        with pytest.raises(NearfarError, match=told):
            _load(folder)
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": ["other"]}))
    with pytest.raises(NearfarError, match="no split train among other"):
        _load(folder)


def test_a_class_of_minus_1_is_none(tmp_path):
    source = _load(_saved(tmp_path / "missing", labels=(1, -1, 1, 0)), test_fraction=0.0)
    assert (len(source.train), len(source.unlabelled)) == (2, 1)
