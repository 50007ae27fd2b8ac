"""Writes attention.json: PyTorch's scaled_dot_product_attention and its gradients, in float64.

Inputs come from a formula that C++ repeats exactly (and bfloat16 holds); of the outputs, every
tenth row is kept. Run: python tests/golden/attention.py
"""

import json
import math
import pathlib

import torch

LENGTHS = [130, 1, 19]
HEADS, KV_HEADS, DIM = 4, 2, 8


def values(shape, seed):
    n = math.prod(shape)
    x = (torch.arange(n) * 7919 + seed * 104729) % 97 - 48
    return (x.double() / 32).view(shape)


def bias(length, causal, window, slopes):
    distance = torch.arange(length)[None, :] - torch.arange(length)[:, None]
    x = torch.zeros(HEADS, length, length, dtype=torch.float64)
    if slopes:
        x = torch.tensor(slopes, dtype=torch.float64)[:, None, None] * distance
    if causal:
        x = x.masked_fill(distance > 0, -math.inf)
    if window:
        x = x.masked_fill(distance <= -window, -math.inf)
    return x


def run(causal, window, slopes):
    tokens = sum(LENGTHS)
    q = values((tokens, HEADS, DIM), 1).requires_grad_()
    k = values((tokens, KV_HEADS, DIM), 2).requires_grad_()
    v = values((tokens, KV_HEADS, DIM), 3).requires_grad_()
    outputs, first = [], 0
    for length in LENGTHS:
        part = [x[first : first + length].transpose(0, 1)[None] for x in (q, k, v)]
        y = torch.nn.functional.scaled_dot_product_attention(
            *part, attn_mask=bias(length, causal, window, slopes), enable_gqa=True
        )
        outputs.append(y[0].transpose(0, 1))
        first += length
    output = torch.cat(outputs)
    output.backward(values((tokens, HEADS, DIM), 4))
    keep = lambda x: [float(f"{a:.7g}") for a in x.detach()[::10].flatten().tolist()]
    return {
        "causal": causal,
        "sliding_window": window,
        "alibi_slopes": slopes,
        "output": keep(output),
        "query_gradient": keep(q.grad),
        "key_gradient": keep(k.grad),
        "value_gradient": keep(v.grad),
    }


slopes = [2.0 ** (-2 * (h + 1)) for h in range(HEADS)]
golden = {
    "torch": torch.__version__,
    "lengths": LENGTHS,
    "heads": HEADS,
    "kv_heads": KV_HEADS,
    "head_dim": DIM,
    "cases": [run(True, 0, []), run(False, 0, []), run(True, 25, []), run(True, 0, slopes)],
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
