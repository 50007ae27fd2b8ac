#include "model/step.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/index_select.h>

namespace tigerbot {

at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                  const Sequences& sequences, const StepCache* cache, std::size_t layer,
                  const ops::AttentionOptions& options) {
  if (!cache) return ops::attention(q, k, v, sequences, options);
  const PagedKeyValues& blocks = cache->layers[layer];
  ops::store_key_values(k, v, sequences, cache->tables, blocks);
  return ops::paged_attention(q, blocks, sequences, cache->tables, options);
}

at::Tensor wanted_rows(const at::Tensor& hidden, const StepCache* cache) {
  if (!cache || !cache->output_rows) return hidden;
  std::vector<std::int64_t> rows = *cache->output_rows;
  const at::Tensor index =
      at::from_blob(rows.data(), {static_cast<std::int64_t>(rows.size())}, at::kLong).clone();
  return at::index_select(hidden, 0, index.to(hidden.device()));
}

std::vector<std::int64_t> whole_lengths(const Sequences& sequences, const StepCache* cache) {
  std::vector<std::int64_t> lengths;
  for (std::int64_t i = 0; i < sequences.count(); ++i) {
    lengths.push_back(cache ? cache->tables.context_lengths[static_cast<std::size_t>(i)]
                            : sequences.length(i));
  }
  return lengths;
}

}  // namespace tigerbot
