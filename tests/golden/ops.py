"""Writes ops.json: PyTorch's results and gradients of the fused operations, in float32 and bfloat16.

Inputs come from a formula that C++ repeats exactly and bfloat16 holds. Run: python tests/golden/ops.py
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

EPS = 1e-5
LABELS = [3, 52, -100, 0, 17, 3, -100, 40, 8]


def values(shape, seed):
    n = math.prod(shape)
    x = (torch.arange(n) * 7919 + seed * 104729) % 97 - 48
    return (x.double() / 32).view(shape)


def angles(tokens, half):
    at = torch.arange(tokens)[:, None] * 10.0 ** (-torch.arange(half) / half)[None]
    return at.cos().float(), at.sin().float()


def rope(x, adjacent):
    """transformers' apply_rotary_pos_emb for halves, its interleaved form for adjacent pairs."""
    cos, sin = (a.to(x.dtype)[:, None] for a in angles(x.shape[0], x.shape[2] // 2))
    if adjacent:
        a, b = x[..., 0::2], x[..., 1::2]
        return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def residual(norm):
    def both(x, r, *parameters):
        return norm(x + r, *parameters), x + r

    return both


def rms_norm(x, w):
    return F.rms_norm(x, x.shape[-1:], w, EPS)


def layer_norm(x, w, b):
    return F.layer_norm(x, x.shape[-1:], w, b, EPS)


def cross_entropy(h, w):
    weights = values((len(LABELS),), 5).float()
    losses = F.cross_entropy(F.linear(h, w).float(), torch.tensor(LABELS), reduction="none")
    return (losses * weights).sum()


ROWS = (5, 37)
CASES = {
    "rms_norm": (rms_norm, [ROWS, ROWS[1:]]),
    "rms_norm_residual": (residual(rms_norm), [ROWS, ROWS, ROWS[1:]]),
    "layer_norm": (layer_norm, [ROWS, ROWS[1:], ROWS[1:]]),
    "layer_norm_residual": (residual(layer_norm), [ROWS, ROWS, ROWS[1:], ROWS[1:]]),
    "rope_half_split": (lambda x: rope(x, False), [(5, 2, 14)]),
    "rope_adjacent_pairs": (lambda x: rope(x, True), [(5, 2, 14)]),
    "swiglu": (lambda g, u: F.silu(g) * u, [ROWS, ROWS]),
    "gelu_exact": (lambda x: F.gelu(x), [ROWS]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [ROWS]),
    "embedding": (lambda w: F.embedding(torch.tensor([3, 0, 3, 7, 6, 3]), w), [(8, 11)]),
    "cross_entropy": (cross_entropy, [(len(LABELS), 12), (53, 12)]),
}


def run(name, dtype):
    function, shapes = CASES[name]
    inputs = [values(s, i + 1).to(dtype).requires_grad_() for i, s in enumerate(shapes)]
    outputs = function(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    upstream = [values(o.shape, 20 + i).to(o.dtype) for i, o in enumerate(outputs)]
    gradients = torch.autograd.grad(outputs, inputs, upstream)
    keep = lambda x: [float(f"{a:.7g}") for a in x.detach().double().flatten().tolist()]
    return {
        "name": name,
        "bfloat16": dtype == torch.bfloat16,
        "shapes": [list(s) for s in shapes],
        "outputs": [keep(o) for o in outputs],
        "gradients": [keep(g) for g in gradients],
    }


cases = [run(name, dtype) for name in CASES for dtype in (torch.float32, torch.bfloat16)]
golden = {"torch": torch.__version__, "labels": LABELS, "cases": cases}
pathlib.Path(__file__).with_name("ops.json").write_text(json.dumps(golden, indent=None) + "\n")
