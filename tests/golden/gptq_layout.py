"""Golden files of the GPTQ layout: tests/golden/gptq_layout.json.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install numpy
    /tmp/venv/bin/python tests/golden/gptq_layout.py

The layout as AutoGPTQ's QuantLinear packs and unpacks it, written down from its facts and not from
a bit stream, so that the two can disagree: 4 and 8 bits are shifts within one 32-bit word; 3 bits
put 32 values into three words, of which values 10 and 21 straddle two. Version 1 stores zeros less
1, version 2 as they are.
"""

import json
import pathlib

import numpy as np

# Where each of 32 values of 3 bits lies in its three words: (word, shift, bits taken from the
# value's low end before this piece, bits of the piece).
THREE_BIT = (
    [[(0, 3 * i, 0, 3)] for i in range(10)]
    + [[(0, 30, 0, 2), (1, 0, 2, 1)]]
    + [[(1, 3 * i + 1, 0, 3)] for i in range(10)]
    + [[(1, 31, 0, 1), (2, 0, 1, 2)]]
    + [[(2, 3 * i + 2, 0, 3)] for i in range(10)]
)


def pack_rows(values, bits):
    """values [n, width] -> uint32 [n * bits / 32, width], along the rows."""
    n, width = values.shape
    out = np.zeros((n * bits // 32, width), dtype=np.uint32)
    for i in range(n):
        value = values[i].astype(np.uint32)
        if bits == 3:
            for word, shift, skip, taken in THREE_BIT[i % 32]:
                piece = (value >> skip) & ((1 << taken) - 1)
                out[i // 32 * 3 + word] |= piece << np.uint32(shift)
        else:
            per_word = 32 // bits
            out[i // per_word] |= value << np.uint32(bits * (i % per_word))
    return out


def unpack_rows(words, bits):
    n = words.shape[0] * 32 // bits
    out = np.zeros((n, words.shape[1]), dtype=np.int64)
    for i in range(n):
        if bits == 3:
            for word, shift, skip, taken in THREE_BIT[i % 32]:
                piece = (words[i // 32 * 3 + word] >> np.uint32(shift)) & ((1 << taken) - 1)
                out[i] |= piece.astype(np.int64) << skip
        else:
            per_word = 32 // bits
            out[i] = (words[i // per_word] >> np.uint32(bits * (i % per_word))) & ((1 << bits) - 1)
    return out


def case(bits, group_size, act_order, version, seed):
    random = np.random.default_rng(seed)
    in_features, out_features = 64, 32
    groups = in_features // group_size
    codes = random.integers(0, 1 << bits, (in_features, out_features))
    # Version 1 cannot hold a zero of 0.
    zeros = random.integers(2 - version, 1 << bits, (groups, out_features))
    scales = (random.random((groups, out_features)) * 0.02 + 0.001).astype(np.float16)
    g_idx = np.arange(in_features) // group_size
    if act_order:
        g_idx = random.permutation(g_idx)
    qweight = pack_rows(codes, bits)
    stored = zeros - 1 if version == 1 else zeros
    qzeros = pack_rows(stored.T, bits).T
    # And back, as QuantLinear does before its product.
    back = unpack_rows(qweight, bits)
    back_zeros = unpack_rows(np.ascontiguousarray(qzeros.T), bits).T + (1 if version == 1 else 0)
    assert (back == codes).all() and (back_zeros == zeros).all()
    wide = scales.astype(np.float32)
    weight = wide[g_idx] * (back - back_zeros[g_idx]).astype(np.float32)  # [in, out]
    as_int32 = lambda words: words.astype(np.uint32).view(np.int32).tolist()
    return {
        "bits": bits,
        "group_size": group_size,
        "act_order": act_order,
        "version": version,
        "qweight": as_int32(qweight),
        "qzeros": as_int32(np.ascontiguousarray(qzeros)),
        "scales": wide.tolist(),
        "g_idx": g_idx.tolist(),
        "weight": weight.T.tolist(),
    }


def main():
    cases = [
        case(bits, 32 if act_order else 64, act_order, version, 10 * bits + version)
        for bits in (3, 4, 8)
        for act_order, version in ((False, 1), (True, 1), (True, 2))
    ]
    path = pathlib.Path(__file__).with_name("gptq_layout.json")
    path.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
