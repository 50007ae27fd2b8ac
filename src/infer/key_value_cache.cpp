#include "infer/key_value_cache.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "base/error.h"

namespace tigerbot {

KeyValueCache::KeyValueCache(const ModelConfig& config, std::int64_t num_blocks,
                             std::int64_t block_size, at::ScalarType dtype, at::Device device)
    : num_blocks_(num_blocks), block_size_(block_size) {
  if (num_blocks < 1 || block_size < 1) fail_internal("a cache needs at least one block");
  const auto options = at::TensorOptions().dtype(dtype).device(device);
  const std::vector<std::int64_t> shape = {num_blocks, config.num_key_value_heads, block_size,
                                           config.head_dim};
  layers_.reserve(static_cast<std::size_t>(config.num_hidden_layers));
  for (std::int64_t i = 0; i < config.num_hidden_layers; ++i) {
    PagedKeyValues layer{at::empty(shape, options), at::empty(shape, options)};
    if (dtype == at::kChar) {
      layer.key_scales = at::empty({shape[0], shape[1], shape[2]}, options.dtype(at::kFloat));
      layer.value_scales = at::empty_like(layer.key_scales);
    }
    layers_.push_back(std::move(layer));
  }
}

void KeyValueCache::copy_block(std::int32_t from, std::int32_t to) const {
  for (const PagedKeyValues& layer : layers_) {
    for (const at::Tensor* part :
         {&layer.keys, &layer.values, &layer.key_scales, &layer.value_scales}) {
      if (part->defined()) part->select(0, to).copy_(part->select(0, from));
    }
  }
}

std::int64_t KeyValueCache::bytes_per_token(const ModelConfig& config, at::ScalarType dtype) {
  const auto head = config.head_dim * static_cast<std::int64_t>(c10::elementSize(dtype)) +
                    (dtype == at::kChar ? std::int64_t{sizeof(float)} : 0);
  return 2 * config.num_hidden_layers * config.num_key_value_heads * head;
}

std::optional<at::ScalarType> parse_kv_cache_dtype(const std::string& name) {
  if (name == "auto") return std::nullopt;
  if (name == "int8") return at::kChar;
  fail("--kv-cache-dtype: \"{}\" is not one of auto (the model's own type), int8", name);
}

}  // namespace tigerbot
