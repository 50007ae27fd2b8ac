"""Golden files for tests/weights, from the reference libraries (safetensors, gguf, numpy).

    python tests/golden/weights.py

writes tests/golden/weights/. Everything is small and the same on every run.
"""

import pathlib

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from safetensors.torch import save_file

OUT = pathlib.Path(__file__).parent / "weights"
OUT.mkdir(exist_ok=True)
rng = np.random.default_rng(20231208)


def write_safetensors():
    values = torch.arange(6).reshape(2, 3)
    types = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16, "i64": torch.int64}
    save_file({k: values.to(t) for k, t in types.items()}, OUT / "python.safetensors", {"format": "pt"})


def random_halves(shape):
    """Scales as files have them: positive and negative, of many magnitudes, subnormals and zero too."""
    values = rng.standard_normal(shape) * 10.0 ** rng.uniform(-6, 1, shape)
    return values.astype(np.float16)


def write_blocks():
    """For each type: random blocks with sane scales, and gguf's own floats for them."""
    halves = {  # byte offsets of the float16 scales in a block
        T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q2_K: [80, 82],
        T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208],
    }
    for kind, offsets in halves.items():
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        count = 1024 // elements
        blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
        for offset in offsets:
            blocks[:, offset : offset + 2] = random_halves((count, 1)).view(np.uint8)
        floats = gguf.quants.dequantize(blocks.reshape(1, -1), kind).astype(np.float32)
        (OUT / f"{kind.name}.blocks").write_bytes(blocks.tobytes())
        (OUT / f"{kind.name}.floats").write_bytes(floats.tobytes())


def write_quantized():
    """Floats, and gguf's blocks of them for each type that we write."""
    floats = (rng.standard_normal((16, 64)) * 10.0 ** rng.uniform(-4, 2, (16, 1))).astype(np.float32)
    floats[0, :32] = 0  # a block of zeros
    floats[1, :32] = 0.25  # of one value
    floats[2, 0] = -floats[2, 1]  # equal magnitudes
    floats[3, :32] = np.abs(floats[3, :32])
    floats[4, :32] = -np.abs(floats[4, :32])
    (OUT / "quantize.floats").write_bytes(floats.tobytes())
    for kind in (T.Q8_0, T.Q4_0, T.Q4_1, T.BF16):
        (OUT / f"quantize.{kind.name}").write_bytes(gguf.quants.quantize(floats, kind).tobytes())
    (OUT / "quantize.F16").write_bytes(floats.astype(np.float16).tobytes())


def write_gguf():
    """A file with every kind of metadata value, as gguf's own writer makes it."""
    writer = gguf.GGUFWriter(OUT / "python.gguf", "llama")
    writer.add_uint8("t.u8", 200)
    writer.add_int8("t.i8", -3)
    writer.add_uint16("t.u16", 65000)
    writer.add_int16("t.i16", -300)
    writer.add_uint32("t.u32", 4_000_000_000)
    writer.add_int32("t.i32", -70000)
    writer.add_uint64("t.u64", 2**40)
    writer.add_int64("t.i64", -(2**40))
    writer.add_float32("t.f32", 0.5)
    writer.add_float64("t.f64", 0.1)
    writer.add_bool("t.bool", True)
    writer.add_string("t.string", "老虎 🐯")
    writer.add_array("t.strings", ["a", "", "ccc"])
    writer.add_array("t.integers", [1, -2, 3])
    writer.add_array("t.floats", [0.5, -1.5])
    writer.add_tensor("a", np.arange(6, dtype=np.float32).reshape(2, 3))
    writer.add_tensor("b", np.arange(4, dtype=np.float16))
    quantized = gguf.quants.quantize(np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32), T.Q8_0)
    writer.add_tensor("c", quantized, raw_dtype=T.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


write_safetensors()
write_blocks()
write_quantized()
write_gguf()
