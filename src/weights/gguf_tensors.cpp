#include "weights/gguf_tensors.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "weights/dequantize.h"
#include "weights/gguf_quantized.h"

namespace tigerbot {
namespace {

// Floats of one piece of work: they stay in the first-level cache until they are rounded.
constexpr std::int64_t kPiece = 2048;

std::optional<at::ScalarType> dense_type(GgmlType type) {
  if (type == GgmlType::kF32) return at::kFloat;
  if (type == GgmlType::kF16) return at::kHalf;
  if (type == GgmlType::kBF16) return at::kBFloat16;
  return std::nullopt;
}

// `count` elements, a multiple of the block and at most a row, to `out` of type `to`.
void dequantize_as(GgmlType type, const std::byte* from, std::int64_t count, at::ScalarType to,
                   std::byte* out) {
  if (to == at::kFloat) {
    dequantize(type, from, count, reinterpret_cast<float*>(out));
    return;
  }
  alignas(64) float values[kPiece];
  const GgmlTypeInfo& info = ggml_type_info(type);
  for (std::int64_t done = 0; done < count; done += kPiece) {
    const std::int64_t piece = std::min(kPiece, count - done);
    dequantize(type, from + done / info.block_elements * info.block_bytes, piece, values);
    auto* halves = reinterpret_cast<std::uint16_t*>(out) + done;
    if (to == at::kBFloat16) {
      float_to_bfloat16(values, piece, halves);
    } else {
      float_to_float16(values, piece, halves);
    }
  }
}

}  // namespace

at::Tensor load_gguf_tensor(const std::shared_ptr<const GgufFile>& file,
                            const GgufTensorInfo& tensor, const MappedName& name,
                            at::ScalarType quantized_type) {
  const std::string& path = file->header.path;
  if (!tensor.type->readable) {
    fail(
        "{}: tensor {} has type {}, which is not read; quantize the model as Q4_0 to Q8_0, Q2_K to "
        "Q6_K, BF16, F16 or F32",
        path, quote(tensor.name), tensor.type->name);
  }
  const auto dense = dense_type(tensor.type->type);
  auto* data = const_cast<std::byte*>(file->map.data() + tensor.begin);
  if (dense && name.order == RowOrder::kSame) {
    return at::from_blob(
        data, tensor.shape, [file](void*) {}, at::TensorOptions(*dense));
  }
  const at::ScalarType to = dense.value_or(quantized_type);
  if (to != at::kFloat && to != at::kBFloat16 && to != at::kHalf) {
    fail_internal("quantized tensors become float32, bfloat16 or float16, not {}", toString(to));
  }
  const std::int64_t elements = element_count(tensor.shape);
  const std::int64_t rows = tensor.shape.empty() ? 1 : tensor.shape.front();
  const std::int64_t period =
      name.order == RowOrder::kRotaryPairs ? 2 * name.heads : 3 * name.heads;
  if (name.order != RowOrder::kSame && (rows == 0 || rows % period != 0)) {
    fail("{}: tensor {} has {} rows, which {} heads do not divide; the file is damaged", path,
         quote(tensor.name), rows, name.heads);
  }
  at::Tensor values = at::empty(tensor.shape, at::TensorOptions(to));
  if (elements == 0) return values;
  auto* out = static_cast<std::byte*>(values.mutable_data_ptr());
  const auto width = static_cast<std::int64_t>(c10::elementSize(to));
  const std::int64_t row_elements = elements / rows;
  const auto stored_row = static_cast<std::int64_t>(tensor.bytes) / rows;

  // Rows in the same order are one run of blocks, cut anywhere; otherwise the row is the unit (a
  // bias has rows of one element).
  if (name.order == RowOrder::kSame) {
    const std::int64_t pieces = (elements + kPiece - 1) / kPiece;
    const std::int64_t piece_bytes =
        kPiece / tensor.type->block_elements * tensor.type->block_bytes;
    at::parallel_for(0, pieces, 16, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t count = std::min(end * kPiece, elements) - begin * kPiece;
      dequantize_as(tensor.type->type, data + begin * piece_bytes, count, to,
                    out + begin * kPiece * width);
    });
    return values;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, 16 * kPiece / row_elements);
  at::parallel_for(0, rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::byte* from = data + gguf_row(name.order, name.heads, rows, row) * stored_row;
      std::byte* to_row = out + row * row_elements * width;
      if (dense) {
        std::memcpy(to_row, from, static_cast<std::size_t>(stored_row));
      } else {
        dequantize_as(tensor.type->type, from, row_elements, to, to_row);
      }
    }
  });
  return values;
}

/// The matrix in its own precision.
ops::QuantizedWeight load_quantized(const std::shared_ptr<const GgufFile>& file,
                                    const GgufTensorInfo& tensor, const MappedName& name) {
  const std::int64_t rows = tensor.shape[0];
  const std::int64_t period =
      name.order == RowOrder::kRotaryPairs ? 2 * name.heads : 3 * name.heads;
  if (name.order != RowOrder::kSame && rows % period != 0) {
    fail("{}: tensor {} has {} rows, which {} heads do not divide; the file is damaged",
         file->header.path, quote(tensor.name), rows, name.heads);
  }
  try {
    return ops::QuantizedWeight(ggml_parts(
        tensor.type->type, file->map.data() + tensor.begin, rows, tensor.shape[1],
        [&](std::int64_t row) {
          return name.order == RowOrder::kSame ? row : gguf_row(name.order, name.heads, rows, row);
        }));
  } catch (const Error& error) {
    fail("{}: tensor {}: {}; the file is damaged", file->header.path, quote(tensor.name),
         error.what());
  }
}

TensorSet open_gguf_tensors(const std::shared_ptr<const GgufFile>& file,
                            const ModelConfig& config) {
  TensorSet set;
  for (const GgufTensorInfo& info : file->header.tensors) {
    if (info.name == "rope_freqs.weight") continue;
    const auto name = to_hugging_face_name(info.name, config);
    if (!name) {
      fail("{}: tensor {} belongs to no {} model; this variant is not known here",
           file->header.path, quote(info.name), config.model_type);
    }
    StoredTensor tensor;
    tensor.name = name->name;
    tensor.shape = info.shape;
    tensor.type = info.type->name;
    tensor.bytes = info.bytes;
    tensor.file = file->header.path;
    tensor.quantized = !dense_type(info.type->type);
    tensor.load = [file, &info, name = *name](at::ScalarType quantized_type) {
      return load_gguf_tensor(file, info, name, quantized_type);
    };
    if (info.shape.size() == 2 && has_ggml_parts(info.type->type)) {
      tensor.load_quantized = [file, &info, name = *name] {
        return load_quantized(file, info, name);
      };
    }
    set.add(std::move(tensor));
  }
  return set;
}

}  // namespace tigerbot
