// Included within a target region of each instruction set's source; no headers in here.
//
// Flash attention (Dao et al. 2022), a tile of query rows against one split of the keys: keys are
// packed a block at a time, and for six rows at a time the scores of the block, their softmax and
// the product with the values follow one another while all of it is in the first-level cache. The
// outputs are rescaled only when a row's maximum grows by more than 2^kMaximumSlack.
//
// Of a quantized cache the products take the integers as they are: keys' scales multiply the
// scores, values' scales the probabilities, so that quantizing rounds once and reading does not.

constexpr float kMaximumSlack = 8;
/// A maximum below every real score that still can be subtracted from minus infinity.
constexpr float kNoMaximum = -1e30f;

/// Maxima, sums (a vector a row) and outputs of a tile's rows, in one array of floats.
template <class S>
struct SoftmaxState {
  SoftmaxState(int rows, int head_dim, float* memory)
      : maxima(memory),
        sums(memory + round_up(rows, 16)),
        outputs(sums + static_cast<std::int64_t>(rows) * S::kWidth),
        padded(round_up(head_dim, S::kWidth)) {}

  static std::int64_t size(int rows, int head_dim) {
    return round_up(rows, 16) +
           static_cast<std::int64_t>(rows) * (S::kWidth + round_up(head_dim, S::kWidth));
  }

  float* maxima;
  float* sums;
  float* outputs;
  int padded;
};

/// Visible keys [first, last) of a query at `position`.
struct KeyRange {
  std::int64_t first;
  std::int64_t last;
};

inline KeyRange visible_keys(const ScoreRule& rule, std::int64_t position, std::int64_t key_count) {
  KeyRange range{0, key_count};
  if (rule.causal && position + 1 < key_count) range.last = position + 1;
  if (rule.sliding_window > 0 && position + 1 > rule.sliding_window) {
    range.first = position + 1 - rule.sliding_window;
  }
  return range;
}

template <class S>
struct ForwardScratch {
  ForwardScratch(int rows, int head_dim, float* memory) {
    auto* next = reinterpret_cast<Word*>(memory);
    const auto take = [&next](std::int64_t count) {
      Word* taken = next;
      next += (count + 15) / 16 * 16;
      return taken;
    };
    const int depth = words<S>(head_dim);
    queries = take(static_cast<std::int64_t>(rows) * depth);
    keys = take(static_cast<std::int64_t>(depth) * kKeyBlock);
    values = take(static_cast<std::int64_t>(words<S>(kKeyBlock)) * round_up(head_dim, S::kWidth));
    scores = reinterpret_cast<float*>(take(S::kRows * kKeyBlock));
    probabilities = take(S::kRows * words<S>(kKeyBlock));
    key_scales = reinterpret_cast<float*>(take(kKeyBlock));
    value_scales = reinterpret_cast<float*>(take(kKeyBlock));
    size = next - reinterpret_cast<Word*>(memory);
  }

  Word* queries;
  Word* keys;
  Word* values;
  float* scores;
  Word* probabilities;
  float* key_scales;  // of the present block, where the cache is quantized
  float* value_scales;
  std::int64_t size;
};

/// Turns a row of scores (in powers of two) of lanes [first, last) into probabilities, and adds
/// them to the row's sum. `lanes` is a whole number of vectors. kScaled: scores lack the keys'
/// scales, and the probabilities take the values' along.
template <class S, bool kScaled>
inline __attribute__((always_inline)) void softmax_row(float* scores, int first, int last,
                                                       int lanes, const float* key_scales,
                                                       const float* value_scales, float slope,
                                                       float distance, float& maximum, float* sums,
                                                       float* outputs, int padded,
                                                       Word* probabilities) {
  using V = typename S::V;
  if constexpr (kScaled) {
    for (int j = 0; j < lanes; j += S::kWidth) {
      S::store(scores + j, S::mul(S::load(scores + j), S::load(key_scales + j)));
    }
  }
  if (slope != 0) {
    const V slopes = S::set1(slope);
    for (int j = 0; j < lanes; j += S::kWidth) {
      const V bias = S::add(S::lane_numbers(), S::set1(distance + static_cast<float>(j)));
      S::store(scores + j, S::fma(slopes, bias, S::load(scores + j)));
    }
  }
  if (first > 0 || last < lanes) {
    for (int j = 0; j < lanes; j += S::kWidth) {
      S::store(scores + j,
               S::keep_range(S::load(scores + j), first - j, last - j, -__builtin_inff()));
    }
  }
  V top = S::load(scores);
  for (int j = S::kWidth; j < lanes; j += S::kWidth) top = S::max(top, S::load(scores + j));
  if (S::any_greater(top, S::set1(maximum + kMaximumSlack))) {
    const float raised = S::reduce_max(top);
    const V factor = S::set1(exp2_scalar<S>(maximum - raised));
    maximum = raised;
    S::store(sums, S::mul(S::load(sums), factor));
    for (int j = 0; j < padded; j += S::kWidth) {
      S::store(outputs + j, S::mul(S::load(outputs + j), factor));
    }
  }
  const V subtract = S::set1(maximum);
  V sum = S::load(sums);
  for (int j = 0; j < lanes; j += S::kWidth) {
    const V p = probability<S>(S::sub(S::load(scores + j), subtract));
    sum = S::add(sum, p);
    S::store_operand(probabilities, j, kScaled ? S::mul(p, S::load(value_scales + j)) : p);
  }
  S::store(sums, sum);
}

/// Element: of the rows of keys and values, the storage type or int8.
template <class S, class Element>
void attention_forward_over(const AttentionTile& tile, std::int64_t split, float* state_memory,
                            float* scratch_memory) {
  using Source = typename S::Source;
  constexpr bool kScaled = sizeof(Element) == 1;
  const int rows = tile.rows();
  const int depth = words<S>(tile.head_dim);
  SoftmaxState<S> state(rows, tile.head_dim, state_memory);
  ForwardScratch<S> scratch(rows, tile.head_dim, scratch_memory);

  for (int r = 0; r < rows; ++r) {
    state.maxima[r] = kNoMaximum;
    const auto* query = static_cast<const Source*>(tile.queries) +
                        (r / tile.group) * tile.query_token_stride +
                        (r % tile.group) * tile.query_head_stride;
    pack_row<S>(query, tile.head_dim, scratch.queries + static_cast<std::int64_t>(r) * depth);
  }
  __builtin_memset(state.sums, 0, sizeof(float) * rows * (S::kWidth + state.padded));

  const KeyRange first_row = visible_keys(tile.rule, tile.first_position, tile.key_count);
  const KeyRange last_row =
      visible_keys(tile.rule, tile.first_position + tile.tokens - 1, tile.key_count);
  std::int64_t begin = split * kKeysPerSplit;
  std::int64_t end = begin + kKeysPerSplit;
  if (first_row.first > begin) begin = first_row.first / kKeyBlock * kKeyBlock;
  if (last_row.last < end) end = last_row.last;

  const auto keys_in_block = [end](std::int64_t key) {
    return key >= end ? 0 : static_cast<int>(end - key < kKeyBlock ? end - key : kKeyBlock);
  };
  const Element* keys[kKeyBlock];
  const Element* values[kKeyBlock];
  row_addresses(tile.keys, begin, keys_in_block(begin), keys);
  prefetch_rows(keys, keys_in_block(begin), tile.head_dim);
  for (std::int64_t key = begin; key < end; key += kKeyBlock) {
    // While keys are packed their values arrive, and with the values the next block's keys.
    const int count = keys_in_block(key);
    row_addresses(tile.values, key, count, values);
    if constexpr (kScaled) {
      gather_scales<S>(tile.keys, key, count, scratch.key_scales);
      gather_scales<S>(tile.values, key, count, scratch.value_scales);
    }
    for (int i = 0; i < count; i += S::kWidth) {
      const int n = smaller(S::kWidth, count - i);
      prefetch_rows(values + i, n, tile.head_dim);
      pack_transposed<S>(keys + i, n, tile.head_dim, scratch.keys + i, kKeyBlock);
    }
    const int next_count = keys_in_block(key + kKeyBlock);
    row_addresses(tile.keys, key + kKeyBlock, next_count, keys);
    constexpr int kStep = 16;
    for (int i = 0; i < count; i += kStep) {
      prefetch_rows(keys + i, smaller(kStep, next_count - i), tile.head_dim);
      pack_paired<S>(values + i, smaller(kStep, count - i), tile.head_dim, state.padded,
                     scratch.values + static_cast<std::int64_t>(i / S::kPair) * state.padded,
                     state.padded);
    }

    for (int r = 0; r < rows; r += S::kRows) {
      const int n = smaller(S::kRows, rows - r);
      const KeyRange low =
          visible_keys(tile.rule, tile.first_position + r / tile.group, tile.key_count);
      const KeyRange high =
          visible_keys(tile.rule, tile.first_position + (r + n - 1) / tile.group, tile.key_count);
      const int first = low.first > key ? static_cast<int>(low.first - key) : 0;
      const int last = high.last - key < count ? static_cast<int>(high.last - key) : count;
      if (first >= last) continue;
      // Whole vectors from the first visible key's on; what they hold beyond is masked.
      const int skipped = first / S::kWidth * S::kWidth;
      const int lanes = round_up(last, S::kWidth) - skipped;
      product_rows<S, Store::kScale>(n, lanes / S::kWidth, depth,
                                     scratch.queries + static_cast<std::int64_t>(r) * depth, depth,
                                     scratch.keys + skipped, kKeyBlock, scratch.scores, kKeyBlock,
                                     &tile.rule.scale_log2);
      for (int i = 0; i < n; ++i) {
        const std::int64_t position = tile.first_position + (r + i) / tile.group;
        const KeyRange range = visible_keys(tile.rule, position, tile.key_count);
        const std::int64_t base = key + skipped;
        const int from = range.first > base ? static_cast<int>(range.first - base) : 0;
        const int to = static_cast<int>(range.last - base < count - skipped ? range.last - base
                                                                            : count - skipped);
        const float slope =
            tile.slopes_log2 == nullptr ? 0.0f : tile.slopes_log2[(r + i) % tile.group];
        softmax_row<S, kScaled>(scratch.scores + i * kKeyBlock, from, to, lanes,
                                scratch.key_scales + skipped, scratch.value_scales + skipped, slope,
                                static_cast<float>(base - position), state.maxima[r + i],
                                state.sums + static_cast<std::int64_t>(r + i) * S::kWidth,
                                state.outputs + static_cast<std::int64_t>(r + i) * state.padded,
                                state.padded, scratch.probabilities + i * words<S>(kKeyBlock));
      }
      product_rows<S, Store::kAdd>(
          n, state.padded / S::kWidth, words<S>(last - skipped), scratch.probabilities,
          words<S>(kKeyBlock),
          scratch.values + static_cast<std::int64_t>(skipped / S::kPair) * state.padded,
          state.padded, state.outputs + static_cast<std::int64_t>(r) * state.padded, state.padded);
    }
  }
}

template <class S>
void attention_forward(const AttentionTile& tile, std::int64_t split, float* state,
                       float* scratch) {
  if (tile.keys.scales != nullptr) {
    attention_forward_over<S, std::int8_t>(tile, split, state, scratch);
  } else {
    attention_forward_over<S, typename S::Source>(tile, split, state, scratch);
  }
}

/// See ops::store_key_values. Every step is one rounding, the same in all instruction sets.
template <class S>
float quantize_row(const void* row, int head_dim, std::int8_t* integers) {
  const auto* from = static_cast<const typename S::Source*>(row);
  auto largest = S::zero();
  auto defects = S::zero();  // NaN once an element is NaN or infinite
  for (int j = 0; j < head_dim; j += S::kWidth) {
    const auto x = S::load_source(from + j, head_dim - j);
    largest = S::max(largest, S::max(x, S::sub(S::zero(), x)));
    defects = S::fma(x, S::zero(), defects);
  }
  const float most = S::reduce_max(largest);
  const bool finite = S::reduce_add(defects) == 0;
  if (!finite || most <= 1e-30f) {
    __builtin_memset(integers, 0, static_cast<std::size_t>(head_dim));
    return finite ? 0.0f : __builtin_nanf("");
  }
  const auto inverse = S::set1(127 / most);
  for (int j = 0; j < head_dim; j += S::kWidth) {
    const auto x = S::load_source(from + j, head_dim - j);
    S::store_integers(integers + j, S::round(S::mul(x, inverse)), head_dim - j);
  }
  return most / 127;
}

template <class S>
void attention_fold(int rows, int head_dim, float* total_memory, const float* next_memory) {
  SoftmaxState<S> total(rows, head_dim, total_memory);
  const SoftmaxState<S> next(rows, head_dim, const_cast<float*>(next_memory));
  for (int r = 0; r < rows; ++r) {
    const float maximum = total.maxima[r] > next.maxima[r] ? total.maxima[r] : next.maxima[r];
    const auto keep = S::set1(exp2_scalar<S>(total.maxima[r] - maximum));
    const auto take = S::set1(exp2_scalar<S>(next.maxima[r] - maximum));
    total.maxima[r] = maximum;
    const auto fold = [&](float* into, const float* from) {
      S::store(into, S::fma(S::load(from), take, S::mul(S::load(into), keep)));
    };
    fold(total.sums + static_cast<std::int64_t>(r) * S::kWidth,
         next.sums + static_cast<std::int64_t>(r) * S::kWidth);
    for (int j = 0; j < total.padded; j += S::kWidth) {
      const std::int64_t at = static_cast<std::int64_t>(r) * total.padded + j;
      fold(total.outputs + at, next.outputs + at);
    }
  }
}

template <class S>
void attention_finish(const AttentionTile& tile, const float* state_memory, void* output,
                      std::int64_t token_stride, std::int64_t head_stride, float* logsumexp,
                      std::int64_t logsumexp_stride) {
  const int rows = tile.rows();
  const SoftmaxState<S> state(rows, tile.head_dim, const_cast<float*>(state_memory));
  for (int r = 0; r < rows; ++r) {
    const int token = r / tile.group;
    const int head = r % tile.group;
    const float sum = S::reduce_add(S::load(state.sums + static_cast<std::int64_t>(r) * S::kWidth));
    const auto scale = S::set1(1.0f / sum);
    auto* out =
        static_cast<typename S::Source*>(output) + token * token_stride + head * head_stride;
    for (int j = 0; j < tile.head_dim; j += S::kWidth) {
      const float* from = state.outputs + static_cast<std::int64_t>(r) * state.padded + j;
      S::store_source(out + j, S::mul(S::load(from), scale), tile.head_dim - j);
    }
    if (logsumexp != nullptr) {
      logsumexp[head * logsumexp_stride + token] = state.maxima[r] + __builtin_log2f(sum);
    }
  }
}
