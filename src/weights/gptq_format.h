#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/json.h"
#include "ops/quantized_linear.h"
#include "weights/tensor_set.h"

/// The layout of quantized Linears that AutoGPTQ began and gptqmodel, transformers and vLLM read.
namespace tigerbot {

/// `quantization_config` of config.json, or quantize_config.json.
struct GptqConfig {
  int bits = 4;                   ///< 3, 4 or 8
  std::int64_t group_size = 128;  ///< -1: the whole row
  bool desc_act = false;          ///< features were quantized in the order of their activations
  bool symmetric = true;
  bool zeros_less_one = true;  ///< qzeros hold the zero less 1: "gptq", not "gptq_v2"
  double damp_percent = 0.01;
  /// 8: the output layer, which the file holds as it was, runs in 8 bits (Q8_0's grid). A key of
  /// our own, "output_bits", that other programs pass over. 16: it runs as it is.
  int output_bits = 16;
};

/// Nothing where the directory's model is not quantized; an Error where it is by another method, or
/// in a variant that does not run here.
std::optional<GptqConfig> read_gptq_config(const std::filesystem::path& folder);

/// The object that both files hold.
Json gptq_config_json(const GptqConfig& config);

/// One Linear [out, in]. Values of `bits` bits stand without gaps in 32-bit words, least bits
/// first: qweight int32 [in * bits / 32, out] along the input features, qzeros int32
/// [groups, out * bits / 32] along the outputs; scales [groups, out]; g_idx int32 [in], the group
/// of each input feature.
struct GptqTensors {
  at::Tensor qweight, qzeros, scales, g_idx;
};

/// zeros_less_one: in the first version, whose zeros are at least 1. Both widths must be multiples
/// of 32.
GptqTensors pack_gptq(const ops::QuantizedParts& parts, bool zeros_less_one = true);

/// Checks shapes, types, zeros and groups; `where` names the layer in errors. An undefined g_idx
/// means groups in order.
ops::QuantizedParts unpack_gptq(const GptqTensors& tensors, const GptqConfig& config,
                                const std::string& where);

/// The same tensors with every `X.qweight`, `X.qzeros`, `X.scales` and `X.g_idx` gathered into one
/// quantized `X.weight` [out, in]; with output_bits of 8 the output layer (an embedding, where
/// there is none of its own) has a quantized form too. A missing one, or shapes that do not fit, is
/// an Error.
TensorSet gather_gptq_layers(const TensorSet& stored, const GptqConfig& config,
                             const std::string& where);

}  // namespace tigerbot
