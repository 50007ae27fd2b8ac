#include "weights/gptq_format.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "weights/gguf_quantized.h"
#include "weights/quantize.h"

namespace tigerbot {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 64 << 20;

void check_supported(int bits, const std::string& place) {
  if (bits == 3 || bits == 4 || bits == 8) return;
  fail("{} is {}; 3, 4 and 8 run here", place, bits);
}

/// values uint8 [count, width], each of `bits` bits -> int32 [count * bits / 32, width].
at::Tensor pack_bits(const at::Tensor& values, int bits) {
  const std::int64_t count = values.size(0);
  const std::int64_t width = values.size(1);
  at::Tensor packed = at::zeros({count * bits / 32, width}, at::kInt);
  auto* words = reinterpret_cast<std::uint32_t*>(packed.mutable_data_ptr<std::int32_t>());
  const at::Tensor whole = values.contiguous();
  const auto* from = whole.const_data_ptr<std::uint8_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t shift = i * bits % 32;
    std::uint32_t* first = words + i * bits / 32 * width;
    for (std::int64_t j = 0; j < width; ++j) {
      const std::uint32_t value = from[i * width + j];
      first[j] |= value << shift;
      if (shift + bits > 32) first[width + j] |= value >> (32 - shift);
    }
  }
  return packed;
}

/// Its inverse.
at::Tensor unpack_bits(const at::Tensor& packed, int bits) {
  const std::int64_t count = packed.size(0) * 32 / bits;
  const std::int64_t width = packed.size(1);
  at::Tensor values = at::empty({count, width}, at::kByte);
  auto* to = values.mutable_data_ptr<std::uint8_t>();
  const at::Tensor whole = packed.contiguous();
  const auto* words = reinterpret_cast<const std::uint32_t*>(whole.const_data_ptr<std::int32_t>());
  const std::uint32_t mask = (1U << bits) - 1;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t shift = i * bits % 32;
    const std::uint32_t* first = words + i * bits / 32 * width;
    for (std::int64_t j = 0; j < width; ++j) {
      std::uint32_t value = first[j] >> shift;
      if (shift + bits > 32) value |= first[width + j] << (32 - shift);
      to[i * width + j] = static_cast<std::uint8_t>(value & mask);
    }
  }
  return values;
}

/// A dense matrix on the grid of Q8_0: 8 bits in groups of 32 features, symmetric.
ops::QuantizedWeight in_eight_bits(const at::Tensor& weight, const std::string& place) {
  const at::Tensor values = weight.to(at::kFloat).contiguous();
  const GgmlTypeInfo& type = ggml_type_info(GgmlType::kQ8_0);
  const std::int64_t out = values.size(0), in = values.size(1);
  if (in % type.block_elements != 0) {
    fail("{} has rows of {}; output_bits 8 needs a multiple of {}", place, in, type.block_elements);
  }
  std::vector<std::byte> blocks(
      static_cast<std::size_t>(values.numel() / type.block_elements * type.block_bytes));
  if (!quantize(type.type, values.const_data_ptr<float>(), values.numel(), blocks.data())) {
    fail("{} holds an infinity or NaN; the model is damaged", place);
  }
  return ops::QuantizedWeight(
      ggml_parts(type.type, blocks.data(), out, in, [](std::int64_t row) { return row; }));
}

bool is_output_layer(const std::string& name) {
  return name == "lm_head.weight" || name == "model.embed_tokens.weight" ||
         name == "transformer.word_embeddings.weight";
}

std::vector<std::int64_t> shape_of(const at::Tensor& tensor) { return tensor.sizes().vec(); }

void check_layer_tensor(const at::Tensor& tensor, const char* name, at::ScalarType type,
                        const std::vector<std::int64_t>& shape, const std::string& where) {
  if (tensor.scalar_type() == type && shape_of(tensor) == shape) return;
  fail("{}.{} is {} {}; {} {} fits the other tensors", where, name,
       c10::toString(tensor.scalar_type()), shape_text(shape_of(tensor)), c10::toString(type),
       shape_text(shape));
}

/// Input and output features that a packed weight's shape stands for.
std::pair<std::int64_t, std::int64_t> widths(const std::vector<std::int64_t>& qweight, int bits,
                                             const std::string& where) {
  if (qweight.size() != 2 || qweight[0] * 32 % bits != 0) {
    fail("{}.qweight has shape {}; [in_features * {} / 32, out_features] is needed", where,
         shape_text(qweight), bits);
  }
  return {qweight[0] * 32 / bits, qweight[1]};
}

}  // namespace

std::optional<GptqConfig> read_gptq_config(const std::filesystem::path& folder) {
  std::filesystem::path file = folder / "config.json";
  Json document = read_json_file(file, {}, kMaxConfigBytes);
  std::string where = "quantization_config";
  if (document.contains(where) && document[where].is_object()) {
    document = Json(document[where]);
  } else {
    file = folder / "quantize_config.json";
    where = "";
    if (!std::filesystem::exists(file)) return std::nullopt;
    document = read_json_file(file, {}, kMaxConfigBytes);
  }
  JsonReader reader(document, file.string(), where);
  if (const auto method = reader.get("quant_method", "gptq"); method != "gptq") {
    fail("{} is {}; models quantized by gptq run here", reader.place("quant_method"),
         quote(method));
  }
  GptqConfig config;
  config.bits = reader.get<int>("bits");
  check_supported(config.bits, reader.place("bits"));
  config.group_size = reader.get<std::int64_t>("group_size", 128);
  if (config.group_size != -1 && config.group_size < 1) {
    fail("{} is {}; it must be above 0, or -1", reader.place("group_size"), config.group_size);
  }
  config.desc_act = reader.get<bool>("desc_act", false);
  config.symmetric = reader.get<bool>("sym", true);
  config.damp_percent = reader.get<double>("damp_percent", config.damp_percent);
  const char* format_key = reader.has("checkpoint_format") ? "checkpoint_format" : "format";
  const std::string format = reader.get(format_key, "gptq");
  if (format != "gptq" && format != "gptq_v2") {
    fail("{} is {}; gptq and gptq_v2 run here", reader.place(format_key), quote(format));
  }
  config.zeros_less_one = format == "gptq";
  if (const auto type = reader.get("pack_dtype", "int32"); type != "int32") {
    fail("{} is {}; int32 runs here", reader.place("pack_dtype"), quote(type));
  }
  if (const auto dynamic = reader.find<Json>("dynamic"); dynamic && !dynamic->empty()) {
    fail("{}: settings of their own for some layers do not run here", reader.place("dynamic"));
  }
  config.output_bits = reader.get<int>("output_bits", 16);
  if (config.output_bits != 8 && config.output_bits != 16) {
    fail("{} is {}; 8 and 16 run here", reader.place("output_bits"), config.output_bits);
  }
  return config;
}

Json gptq_config_json(const GptqConfig& config) {
  Json json = {{"quant_method", "gptq"},
               {"bits", config.bits},
               {"group_size", config.group_size},
               {"desc_act", config.desc_act},
               {"sym", config.symmetric},
               {"checkpoint_format", config.zeros_less_one ? "gptq" : "gptq_v2"},
               {"damp_percent", config.damp_percent},
               {"lm_head", false},
               {"true_sequential", false},
               {"model_name_or_path", nullptr},
               {"model_file_base_name", "model"}};
  if (config.output_bits != 16) json["output_bits"] = config.output_bits;
  return json;
}

GptqTensors pack_gptq(const ops::QuantizedParts& parts, bool zeros_less_one) {
  const std::int64_t out = parts.codes.size(0);
  const std::int64_t in = parts.codes.size(1);
  if (out % 32 != 0 || in % 32 != 0) {
    fail("a layer of {} by {} features; the GPTQ format packs multiples of 32", out, in);
  }
  const at::Tensor zeros = zeros_less_one ? parts.zeros - 1 : parts.zeros;
  if (zeros.lt(0).logical_or(zeros.ge(1 << parts.bits)).any().item<bool>()) {
    fail_internal("a zero has no place in the format");
  }
  GptqTensors tensors;
  tensors.qweight = pack_bits(parts.codes.t(), parts.bits);
  tensors.qzeros = pack_bits(zeros.to(at::kByte).t(), parts.bits).t().contiguous();
  tensors.scales = parts.scales.contiguous();
  tensors.g_idx = parts.group_of.contiguous();
  return tensors;
}

ops::QuantizedParts unpack_gptq(const GptqTensors& tensors, const GptqConfig& config,
                                const std::string& where) {
  const int bits = config.bits;
  const auto [in, out] = widths(shape_of(tensors.qweight), bits, where);
  check_layer_tensor(tensors.qweight, "qweight", at::kInt, {in * bits / 32, out}, where);
  if (out * bits % 32 != 0) {
    fail("{}: {} output features of {} bits are no whole 32-bit words", where, out, bits);
  }
  const std::int64_t group_size = config.group_size == -1 ? in : config.group_size;
  const std::int64_t groups = (in + group_size - 1) / group_size;
  check_layer_tensor(tensors.qzeros, "qzeros", at::kInt, {groups, out * bits / 32}, where);
  if (!tensors.scales.is_floating_point()) {
    fail("{}.scales is {}; a floating-point type is needed", where,
         c10::toString(tensors.scales.scalar_type()));
  }
  check_layer_tensor(tensors.scales, "scales", tensors.scales.scalar_type(), {groups, out}, where);

  ops::QuantizedParts parts;
  parts.bits = bits;
  parts.codes = unpack_bits(tensors.qweight, bits).t().contiguous();
  parts.zeros = unpack_bits(tensors.qzeros.t(), bits).t().to(at::kShort);
  if (config.zeros_less_one) parts.zeros += 1;
  parts.zeros = parts.zeros.contiguous();
  parts.scales = tensors.scales.to(at::kHalf).contiguous();
  if (!at::isfinite(parts.scales).all().item<bool>()) {
    fail("{}.scales holds an infinity, a NaN, or a number past float16; the model is damaged",
         where);
  }
  if (!tensors.g_idx.defined()) {
    if (config.desc_act) fail("{}.g_idx is missing, which desc_act needs", where);
    parts.group_of = at::arange(in, at::kInt).div(group_size, "floor").to(at::kInt);
    return parts;
  }
  check_layer_tensor(tensors.g_idx, "g_idx", at::kInt, {in}, where);
  parts.group_of = tensors.g_idx.contiguous();
  const auto* group = parts.group_of.const_data_ptr<std::int32_t>();
  for (std::int64_t i = 0; i < in; ++i) {
    if (group[i] >= 0 && group[i] < groups) continue;
    fail("{}.g_idx puts feature {} into group {} of {}; the model is damaged", where, i, group[i],
         groups);
  }
  return parts;
}

TensorSet gather_gptq_layers(const TensorSet& stored, const GptqConfig& config,
                             const std::string& where) {
  constexpr std::string_view kWeight = ".qweight";
  constexpr const char* kOthers[] = {".qzeros", ".scales", ".g_idx"};
  TensorSet gathered;
  std::size_t layers = 0;
  const auto exact = [&](const std::string& name) -> const StoredTensor* {
    const StoredTensor* found = stored.find(name);
    return found && found->name == name ? found : nullptr;
  };
  for (const StoredTensor& tensor : stored.tensors()) {
    if (!tensor.name.ends_with(kWeight)) {
      const bool belongs = std::ranges::any_of(kOthers, [&](const std::string_view end) {
        return tensor.name.ends_with(end) &&
               exact(tensor.name.substr(0, tensor.name.size() - end.size()) + std::string(kWeight));
      });
      if (belongs) continue;
      StoredTensor plain = tensor;
      if (config.output_bits == 8 && is_output_layer(tensor.name) && tensor.shape.size() == 2) {
        plain.load_quantized = [load = tensor.load, place = tensor.file + ": " + tensor.name] {
          return in_eight_bits(load(at::kFloat), place);
        };
      }
      gathered.add(std::move(plain));
      continue;
    }
    ++layers;
    const std::string layer = tensor.name.substr(0, tensor.name.size() - kWeight.size());
    const std::string place = fmt::format("{}: {}", tensor.file, layer);
    const auto [in, out] = widths(tensor.shape, config.bits, place);
    StoredTensor weight;
    weight.name = layer + ".weight";
    weight.shape = {out, in};
    weight.type = fmt::format("GPTQ {}-bit", config.bits);
    weight.bytes = tensor.bytes;
    weight.file = tensor.file;
    weight.quantized = true;
    std::vector<std::function<at::Tensor(at::ScalarType)>> loads{tensor.load};
    for (const char* end : kOthers) {
      const StoredTensor* other = exact(layer + end);
      if (!other && std::string_view(end) != ".g_idx") {
        fail("{}{} is missing; the model is incomplete", place, end);
      }
      loads.push_back(other ? other->load : nullptr);
      if (other) weight.bytes += other->bytes;
    }
    const auto unpack = [loads, config, place] {
      const auto load = [&](std::size_t i) {
        return loads[i] ? loads[i](at::kFloat) : at::Tensor();
      };
      return ops::QuantizedWeight(unpack_gptq({load(0), load(1), load(2), load(3)}, config, place));
    };
    weight.load_quantized = unpack;
    weight.load = [unpack](at::ScalarType type) { return unpack().dequantize(type); };
    gathered.add(std::move(weight));
  }
  if (layers == 0) {
    fail("{}: its configuration says GPTQ, but no tensor ends in .qweight", where);
  }
  return gathered;
}

}  // namespace tigerbot
