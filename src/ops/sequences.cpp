#include "ops/sequences.h"

#include <ATen/ops/empty.h>

#include "base/error.h"

namespace tigerbot {

Sequences make_sequences(const std::vector<std::int64_t>& lengths, at::Device device) {
  return make_sequences(lengths, std::vector<std::int64_t>(lengths.size(), 0), device);
}

Sequences make_sequences(const std::vector<std::int64_t>& lengths,
                         const std::vector<std::int64_t>& starts, at::Device device) {
  if (lengths.size() != starts.size()) {
    fail_internal("{} sequence lengths but {} start positions", lengths.size(), starts.size());
  }
  Sequences sequences;
  sequences.cu_seqlens.reserve(lengths.size() + 1);
  sequences.cu_seqlens.push_back(0);
  for (const std::int64_t length : lengths) {
    sequences.cu_seqlens.push_back(sequences.cu_seqlens.back() + static_cast<std::int32_t>(length));
  }
  at::Tensor positions = at::empty({sequences.tokens()}, at::kInt);
  auto* p = positions.data_ptr<std::int32_t>();
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    for (std::int64_t t = 0; t < lengths[i]; ++t) *p++ = static_cast<std::int32_t>(starts[i] + t);
  }
  sequences.positions = positions.to(device);
  return sequences;
}

}  // namespace tigerbot
