"""Writes tests/data/readers/tables/rows.parquet, which tests/data/readers/parquet_test.cpp reads.

    pip install pyarrow
    python tests/golden/parquet.py
"""

import datetime
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

table = pa.table({
    "text": ["one\n\"two\"", "中文\u0001", None, "last"],
    "id": [1, -2, 3, 4],
    "score": [0.5, None, float("nan"), 1e300],
    "meta": [{"title": "a", "tags": ["x", "y"]}, {"title": None, "tags": []}, None,
             {"title": "d", "tags": None}],
    "day": [datetime.date(2026, 1, 2)] * 4,
    "kind": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
})
pq.write_table(table, pathlib.Path(__file__).parents[1] / "data/readers/tables/rows.parquet",
               compression="zstd", row_group_size=2)
