#!/usr/bin/env python3
"""Token shards as Megatron's own builder writes them, and a check of ours with Megatron's reader.

    python3 -m venv venv && venv/bin/pip install torch numpy && venv/bin/pip install --no-deps megatron-core==0.16.1
    venv/bin/python tests/golden/megatron_shards.py                 # writes tests/golden/shards
    venv/bin/python tests/golden/megatron_shards.py check PREFIX... # reads shards, prints their sums
"""
import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
import numpy
import torch
from megatron.core.datasets.indexed_dataset import IndexedDataset, IndexedDatasetBuilder

OUT = pathlib.Path(__file__).parent / "shards"


def build(name, dtype, documents):
    """documents: lists of sequences, which are lists of ids."""
    builder = IndexedDatasetBuilder(str(OUT / f"{name}.bin"), dtype=dtype)
    for sequences in documents:
        flat = [i for sequence in sequences for i in sequence]
        builder.add_document(torch.tensor(flat, dtype=torch.int64), [len(s) for s in sequences])
    builder.finalize(str(OUT / f"{name}.idx"))


def golden():
    OUT.mkdir(exist_ok=True)
    random = numpy.random.default_rng(7)
    draw = lambda limit: [
        [random.integers(0, limit, size).tolist()] for size in (5, 1, 0, 130, 17, 64)
    ]
    shards = {
        "uint16": (numpy.uint16, draw(65535)),
        "int32": (numpy.int32, draw(200_000)),
        # Documents of several sequences, as preprocessing with --split-sentences writes them, and
        # one of none.
        "grouped": (numpy.uint16, [[[1, 2, 3], [4, 5]], [], [[6], [7, 8], [9]]]),
    }
    for name, (dtype, documents) in shards.items():
        build(name, dtype, documents)
    text = json.dumps({name: documents for name, (_, documents) in shards.items()})
    (OUT / "documents.json").write_text(text + "\n")


def check(prefixes):
    for prefix in prefixes:
        data = IndexedDataset(prefix)
        borders = data.document_indices
        assert borders[0] == 0 and borders[-1] == len(data), borders
        assert (numpy.diff(borders) >= 0).all()
        total, mixed = 0, numpy.uint64(0)
        with numpy.errstate(over="ignore"):
            for sequence in range(len(data)):
                ids = data[sequence].astype(numpy.uint64)
                total += len(ids)
                mixed = mixed * numpy.uint64(31) + (ids * numpy.arange(1, len(ids) + 1, dtype=numpy.uint64)).sum()
        kind = numpy.dtype(data.index.dtype).name
        print(f"{prefix}: {len(borders) - 1} documents, {total} tokens, {kind}, sum {int(mixed):016x}")


if __name__ == "__main__":
    check(sys.argv[2:]) if sys.argv[1:2] == ["check"] else golden()
