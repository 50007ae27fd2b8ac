// Included within a target region of each instruction set's source; no headers in here.
//
// One row of the cross entropy: the softmax of a row of logits that the product has just left in
// the caches, its loss, and the gradient in place of the logits.

template <typename T>
CrossEntropyLoss cross_entropy_row(const CrossEntropyRow& task) {
  auto* logits = static_cast<T*>(task.logits);
  const std::int64_t n = task.pieces;
  V top = S::set1(-__builtin_inff());
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        // Lanes past the end repeat the first logit, which changes no maximum.
        top = S::max(top, lanes.load_or(logits + i, S::set1(S::value(logits))));
      });
  const float highest = S::highest(top);
  const V center = S::set1(highest);
  const V log2e = S::set1(kLog2E);
  const float sum = sum_over<1>(
                        n,
                        [&](std::int64_t i, auto lanes, V* out) __attribute__((always_inline)) {
                          out[0] =
                              exp2_of<float>(S::mul(S::sub(lanes.load(logits + i), center), log2e));
                        })
                        .of[0];
  const float own = S::value(logits + task.label);
  CrossEntropyLoss loss{__builtin_logf(sum) + (highest - own), own == highest};
  // Of equal logits the first is the most likely piece.
  for (std::int64_t i = 0; loss.correct && i < task.label; ++i) {
    loss.correct = S::value(logits + i) != highest;
  }
  if (!task.gradient) return loss;
  const V normalizer = S::set1(-__builtin_log2f(sum));
  const V factor = S::set1(task.factor);
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        const V t = S::fma(S::sub(lanes.load(logits + i), center), log2e, normalizer);
        lanes.store(logits + i, S::mul(exp2_of<T>(t), factor));
      });
  const float probability = __builtin_exp2f((own - highest) * kLog2E - __builtin_log2f(sum));
  S::store_n(logits + task.label, S::set1((probability - 1) * task.factor), 1);
  return loss;
}

/// A float32 sum of which the upper 16 bits are the bfloat16 result itself and the next 8 stand in
/// `low`: sum += part, and with `last` the result is rounded.
inline void add_split(std::int64_t n, const std::uint16_t* part, std::uint16_t* high,
                      std::uint8_t* low, bool last) {
  std::int64_t i = 0;
  for (; i + S::kWidth <= n; i += S::kWidth) {
    const V sum = S::add(S::load_split(high + i, low + i), S::load(part + i));
    if (last) {
      S::store(high + i, sum);
    } else {
      S::store_split(high + i, low + i, sum);
    }
  }
  for (; i < n; ++i) {
    const std::uint32_t before =
        static_cast<std::uint32_t>(high[i]) << 16 | static_cast<std::uint32_t>(low[i]) << 8;
    const float sum = __builtin_bit_cast(float, before) + S::value(part + i);
    if (last) {
      S::store_n(high + i, S::set1(sum), 1);
    } else {
      const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, sum) + 0x80;
      high[i] = static_cast<std::uint16_t>(bits >> 16);
      low[i] = static_cast<std::uint8_t>(bits >> 8);
    }
  }
}
