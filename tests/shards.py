"""Pictures inside larger files of three kinds; each has a grey of its own and much noise."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
from PIL import Image
from pyarrow import parquet

from nearfar.data.shard_specs import ImageArrowSpec, ImageParquetSpec, ImageTarSpec

SPECS = {"tar": ImageTarSpec, "parquet": ImageParquetSpec, "arrow": ImageArrowSpec}
SIDE, SHARDS, IN_SHARD = 40, 3, 8
COUNT = SHARDS * IN_SHARD


def picture(number):
    """Noise, and a corner that tells which it is."""
    pixels = np.random.RandomState(number).randint(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    pixels[:8, :8] = number
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def write_tar(path, contents, labels):
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for number, (content, label) in enumerate(zip(contents, labels, strict=True)):
            members = [("png", content)]
            if label is not None:
                members.append(("cls", str(label).encode()))
            for ending, held in members:
                info = tarfile.TarInfo(f"a/{number:03}.{ending}")
                info.size = len(held)
                archive.addfile(info, io.BytesIO(held))


def table_of(contents, labels):
    images = [{"bytes": content, "path": None} for content in contents]
    return pa.table({"image": images, "label": pa.array(labels, pa.int64())})


def write_stream(path, table):
    with pa.OSFile(str(path), "wb") as out, pa.ipc.new_stream(out, table.schema) as to:
        to.write_table(table, max_chunksize=3)


def write(kind, root, lost=(), bare=()):
    """Three files of eight pictures of two classes; some are cut short, some have no label."""
    root.mkdir(parents=True, exist_ok=True)
    names = []
    for shard in range(SHARDS):
        numbers = range(IN_SHARD * shard, IN_SHARD * (shard + 1))
        contents = [picture(n)[: -400 if n in lost else None] for n in numbers]
        none = -1 if kind == "arrow" else None
        labels = [none if n in bare else n % 2 for n in numbers]
        if kind == "tar":
            write_tar(root / f"{shard}.tar", contents, labels)
        elif kind == "parquet":
            table = table_of(contents, labels)
            parquet.write_table(table, root / f"{shard}.parquet", row_group_size=2)
        else:
            names.append(f"data-{shard:05d}.arrow")
            write_stream(root / names[-1], table_of(contents, labels))
    if kind == "arrow":
        files = [{"filename": name} for name in names]
        (root / "state.json").write_text(json.dumps({"_data_files": files}))
        features = {"label": {"names": ["even", "odd"], "_type": "ClassLabel"}}
        (root / "dataset_info.json").write_text(json.dumps({"features": features}))
    return root
