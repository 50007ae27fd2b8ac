#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "ops/sequences.h"

namespace tigerbot {

/// The keys and values of many sequences in blocks of a fixed number of tokens (Kwon et al. 2023,
/// "Efficient memory management for large language model serving with PagedAttention"). Who has
/// which block is a BlockAllocator's business. Memory that no block has used yet is reserved, not
/// touched.
class KeyValueCache {
 public:
  /// Room for `num_blocks * block_size` tokens of a model of this shape, in the model's type; or
  /// quantized (at::kChar): 8 bits a number and a float32 scale for each token and head.
  KeyValueCache(const ModelConfig& config, std::int64_t num_blocks, std::int64_t block_size,
                at::ScalarType dtype, at::Device device);

  const std::vector<PagedKeyValues>& layers() const { return layers_; }
  std::int64_t block_size() const { return block_size_; }
  std::int64_t num_blocks() const { return num_blocks_; }

  /// Block `to` becomes a copy of block `from`, in all layers.
  void copy_block(std::int32_t from, std::int32_t to) const;

  /// Bytes that one token takes over all layers, in the types that the constructor takes.
  static std::int64_t bytes_per_token(const ModelConfig& config, at::ScalarType dtype);

 private:
  std::int64_t num_blocks_;
  std::int64_t block_size_;
  std::vector<PagedKeyValues> layers_;
};

/// The type that `--kv-cache-dtype` names: at::kChar for "int8"; nothing, which is the model's own,
/// for "auto".
std::optional<at::ScalarType> parse_kv_cache_dtype(const std::string& name);

}  // namespace tigerbot
