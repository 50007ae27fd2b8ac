// Included within a target region of each instruction set's source; no headers in here.
//
// The backward pass of flash attention with probabilities made anew from the saved logsumexp:
//   p = 2^(s - logsumexp), ds = p (dp - delta), delta = sum(output * its gradient),
//   dv = p^T do, dk = ds^T q scale, dq = ds k scale.
// Scores are made transposed, [keys][queries]: lanes are queries, so logsumexp and delta are plain
// vectors, and a row of p^T or ds^T is at once the left operand of dv and dk. Only dq needs ds with
// pairs of keys in a word, and the keys transposed; it is accumulated as [head_dim][queries].
// All query-side operands of the task are packed once; the loop over key blocks is outermost, so
// that the gradients of a block's keys stay in the nearest caches.

template <class S>
struct BackwardScratch {
  /// Operands of one head's queries of one tile.
  struct Queries {
    Word* query_columns;     ///< [words(head_dim)][kQueryTile]
    Word* gradient_columns;  ///< of the output's gradient
    Word* query_rows;        ///< [words(kQueryTile)][padded]
    Word* gradient_rows;
    float* query_gradient;  ///< [head_dim][kQueryTile]
    float* logsumexp;       ///< [kQueryTile]
    float* delta;
  };

  BackwardScratch(std::int64_t queries, int group, int head_dim, float* memory)
      : depth(words<S>(head_dim)),
        padded(round_up(head_dim, S::kWidth)),
        tiles_a_head(static_cast<int>((queries + kQueryTile - 1) / kQueryTile)),
        next(reinterpret_cast<Word*>(memory)) {
    first_tile = next;
    const Word* begin = next;
    take_tile();
    tile_size = next - begin;
    next = first_tile + tile_size * tiles_a_head * group;
    keys = take(kKeyBlock * depth);
    values = take(kKeyBlock * depth);
    key_pairs = take(words<S>(kKeyBlock) * padded);
    key_columns = take(padded * words<S>(kKeyBlock));
    scores = reinterpret_cast<float*>(take(S::kRows * kQueryTile));
    products = reinterpret_cast<float*>(take(S::kRows * kQueryTile));
    probabilities = take(kKeyBlock * words<S>(kQueryTile));
    score_gradients = take(kKeyBlock * words<S>(kQueryTile));
    score_gradient_pairs = take(words<S>(kKeyBlock) * kQueryTile);
    size = next - first_tile;
  }

  Word* take(std::int64_t count) {
    Word* taken = next;
    next += (count + 15) / 16 * 16;
    return taken;
  }

  Queries take_tile() {
    Queries q;
    q.query_columns = take(depth * kQueryTile);
    q.gradient_columns = take(depth * kQueryTile);
    q.query_rows = take(words<S>(kQueryTile) * padded);
    q.gradient_rows = take(words<S>(kQueryTile) * padded);
    q.query_gradient = reinterpret_cast<float*>(take(padded * kQueryTile));
    q.logsumexp = reinterpret_cast<float*>(take(kQueryTile));
    q.delta = reinterpret_cast<float*>(take(kQueryTile));
    return q;
  }

  Queries tile(int head, int index) {
    next = first_tile + tile_size * (static_cast<std::int64_t>(head) * tiles_a_head + index);
    return take_tile();
  }

  std::int64_t depth;
  std::int64_t padded;
  int tiles_a_head;
  Word* next;
  Word* first_tile;
  std::int64_t tile_size;
  Word* keys;                  ///< [kKeyBlock][depth]
  Word* values;                ///< [kKeyBlock][depth]
  Word* key_pairs;             ///< [words(kKeyBlock)][padded]
  Word* key_columns;           ///< [padded][words(kKeyBlock)]
  float* scores;               ///< [kRows][kQueryTile]
  float* products;             ///< output gradient times values, the same shape
  Word* probabilities;         ///< [kKeyBlock][words(kQueryTile)]
  Word* score_gradients;       ///< [kKeyBlock][words(kQueryTile)]
  Word* score_gradient_pairs;  ///< [words(kKeyBlock)][kQueryTile]
  std::int64_t size;
};

template <class S>
inline void pack_queries(const BackwardTask& task, int head, std::int64_t first, int count,
                         const typename BackwardScratch<S>::Queries& packed, int padded) {
  using Source = typename S::Source;
  const auto rows_of = [&](const BackwardTask::Heads& heads, const Source** rows) {
    const auto* base = static_cast<const Source*>(heads.base) + head * heads.head_stride;
    for (int i = 0; i < count; ++i) rows[i] = base + (first + i) * heads.token_stride;
  };
  const Source* queries[kQueryTile];
  const Source* gradients[kQueryTile];
  const Source* outputs[kQueryTile];
  rows_of(task.queries, queries);
  rows_of(task.output_gradient, gradients);
  rows_of(task.output, outputs);
  for (int i = 0; i < kQueryTile; i += S::kWidth) {
    const int n = larger(0, smaller(S::kWidth, count - i));
    pack_transposed<S>(queries + i, n, task.head_dim, packed.query_columns + i, kQueryTile);
    pack_transposed<S>(gradients + i, n, task.head_dim, packed.gradient_columns + i, kQueryTile);
  }
  pack_paired<S>(queries, count, task.head_dim, padded, packed.query_rows, padded);
  pack_paired<S>(gradients, count, task.head_dim, padded, packed.gradient_rows, padded);
  __builtin_memset(packed.query_gradient, 0, sizeof(float) * padded * kQueryTile);
  for (int i = 0; i < kQueryTile; ++i) {
    auto sum = S::zero();
    for (int j = 0; i < count && j < task.head_dim; j += S::kWidth) {
      sum = S::fma(S::load_source(outputs[i] + j, task.head_dim - j),
                   S::load_source(gradients[i] + j, task.head_dim - j), sum);
    }
    packed.delta[i] = S::reduce_add(sum);
    packed.logsumexp[i] =
        i < count ? task.logsumexp[head * task.logsumexp_stride + first + i] : 0.0f;
  }
}

/// One row of probabilities and score gradients: key at `position`, visible to lanes
/// [first, last); `distance` is the key's position less the first lane's.
template <class S>
inline __attribute__((always_inline)) void score_gradient_row(
    const float* scores, const float* products, const float* logsumexp, const float* delta,
    int first, int last, float slope, float distance, Word* probabilities,
    typename S::V (&gradients)[kQueryTile / S::kWidth]) {
  using V = typename S::V;
#pragma GCC unroll 4
  for (int j = 0; j < kQueryTile; j += S::kWidth) {
    V x = S::sub(S::load(scores + j), S::load(logsumexp + j));
    if (slope != 0) {
      const V bias = S::sub(S::set1(distance - static_cast<float>(j)), S::lane_numbers());
      x = S::fma(S::set1(slope), bias, x);
    }
    V p = probability<S>(x);
    if (first > j || last < j + S::kWidth) p = S::keep_range(p, first - j, last - j, 0.0f);
    S::store_operand(probabilities, j, p);
    gradients[j / S::kWidth] = S::mul(p, S::sub(S::load(products + j), S::load(delta + j)));
  }
}

/// Probabilities and score gradients of keys [begin, end) of the block with one tile of queries.
template <class S>
inline void score_gradients(const BackwardTask& task, BackwardScratch<S>& scratch,
                            const typename BackwardScratch<S>::Queries& queries, int head,
                            std::int64_t key, int begin, int end, std::int64_t position,
                            int query_count) {
  using V = typename S::V;
  constexpr static float kOne = 1;
  const int depth = static_cast<int>(scratch.depth);
  const float slope = task.slopes_log2 == nullptr ? 0.0f : task.slopes_log2[head];
  for (int i = begin; i < end; i += S::kRows) {
    const int n = smaller(S::kRows, end - i);
    product_rows<S, Store::kScale>(n, kQueryTile / S::kWidth, depth, scratch.keys + i * depth,
                                   depth, queries.query_columns, kQueryTile, scratch.scores,
                                   kQueryTile, &task.rule.scale_log2);
    product_rows<S, Store::kScale>(n, kQueryTile / S::kWidth, depth, scratch.values + i * depth,
                                   depth, queries.gradient_columns, kQueryTile, scratch.products,
                                   kQueryTile, &kOne);
    for (int r = 0; r < n; r += 2) {
      V gradients[2][kQueryTile / S::kWidth];
      for (int s = 0; s < 2; ++s) {
        if (r + s >= n) {
          for (V& zero : gradients[s]) zero = S::zero();
          continue;
        }
        const std::int64_t distance = key + i + r + s - position;
        // Causal: queries at or after the key; window: those less than it after the key.
        const int first = task.rule.causal && distance > 0 ? static_cast<int>(distance) : 0;
        int last = query_count;
        if (task.rule.sliding_window > 0 && distance + task.rule.sliding_window < last) {
          last = static_cast<int>(distance + task.rule.sliding_window);
        }
        score_gradient_row<S>(
            scratch.scores + (r + s) * kQueryTile, scratch.products + (r + s) * kQueryTile,
            queries.logsumexp, queries.delta, first, last, slope, static_cast<float>(distance),
            scratch.probabilities + (i + r + s) * words<S>(kQueryTile), gradients[s]);
      }
      for (int s = 0; s < 2; ++s) {
        if (r + s >= n) continue;
        Word* row = scratch.score_gradients + (i + r + s) * words<S>(kQueryTile);
        for (int j = 0; j < kQueryTile; j += S::kWidth) {
          S::store_operand(row, j, gradients[s][j / S::kWidth]);
        }
        if constexpr (S::kPair == 1) {
          Word* copy = scratch.score_gradient_pairs + (i + r + s) * kQueryTile;
          for (int j = 0; j < kQueryTile; j += S::kWidth) {
            S::store_operand(copy, j, gradients[s][j / S::kWidth]);
          }
        }
      }
      if constexpr (S::kPair == 2) {
        Word* pairs = scratch.score_gradient_pairs + (i + r) / 2 * kQueryTile;
        for (int j = 0; j < kQueryTile; j += S::kWidth) {
          S::store_paired(pairs + j, gradients[0][j / S::kWidth], gradients[1][j / S::kWidth]);
        }
      }
    }
  }
}

/// Packs the keys and values of one block.
template <class S>
inline void pack_keys(const BackwardTask& task, std::int64_t key, int count,
                      BackwardScratch<S>& scratch) {
  const typename S::Source* addresses[kKeyBlock];
  const int padded = static_cast<int>(scratch.padded);
  row_addresses(task.values, key, count, addresses);
  for (int i = 0; i < count; ++i) {
    pack_row<S>(addresses[i], task.head_dim, scratch.values + i * scratch.depth);
  }
  row_addresses(task.keys, key, count, addresses);
  for (int i = 0; i < count; ++i) {
    pack_row<S>(addresses[i], task.head_dim, scratch.keys + i * scratch.depth);
  }
  pack_paired<S>(addresses, count, task.head_dim, padded, scratch.key_pairs, padded);
  const int pairs = words<S>(count);
  for (int i = 0; i < pairs; i += S::kWidth) {
    for (int j = 0; j < padded; j += S::kWidth) {
      typename S::V lines[S::kWidth];
      for (int l = 0; l < S::kWidth; ++l) {
        lines[l] =
            i + l < pairs ? S::load_words(scratch.key_pairs + (i + l) * padded + j) : S::zero();
      }
      S::transpose(lines);
      for (int l = 0; l < S::kWidth; ++l) {
        S::store_words(scratch.key_columns + (j + l) * words<S>(kKeyBlock) + i, lines[l]);
      }
    }
  }
}

/// query_gradient [head_dim][queries] -> rows of the storage type, times scale.
template <class S>
inline void write_query_gradient(const BackwardTask& task, int head, std::int64_t first, int count,
                                 const float* query_gradient) {
  auto* out = static_cast<typename S::Source*>(task.query_gradient) +
              head * task.query_gradient_head_stride + first * task.query_gradient_token_stride;
  const auto scale = S::set1(task.scale);
  for (int i = 0; i < count; i += S::kWidth) {
    for (int j = 0; j < task.head_dim; j += S::kWidth) {
      typename S::V lines[S::kWidth];
      for (int l = 0; l < S::kWidth; ++l) {
        lines[l] = S::mul(S::load(query_gradient + (j + l) * kQueryTile + i), scale);
      }
      S::transpose(lines);
      for (int l = 0; l < S::kWidth && i + l < count; ++l) {
        S::store_source(out + (i + l) * task.query_gradient_token_stride + j, lines[l],
                        task.head_dim - j);
      }
    }
  }
}

template <class S>
void attention_backward(const BackwardTask& task, float* scratch_memory) {
  const std::int64_t queries = task.query_end - task.query_begin;
  BackwardScratch<S> scratch(queries, task.group, task.head_dim, scratch_memory);
  const int padded = static_cast<int>(scratch.padded);
  for (int head = 0; head < task.group; ++head) {
    for (int t = 0; t < scratch.tiles_a_head; ++t) {
      const std::int64_t first = static_cast<std::int64_t>(t) * kQueryTile;
      const int count =
          static_cast<int>(queries - first < kQueryTile ? queries - first : kQueryTile);
      pack_queries<S>(task, head, first, count, scratch.tile(head, t), padded);
    }
  }
  const auto gradient_bytes = sizeof(float) * (task.key_end - task.key_begin) * padded;
  __builtin_memset(task.key_gradient, 0, gradient_bytes);
  __builtin_memset(task.value_gradient, 0, gradient_bytes);

  for (std::int64_t key = task.key_begin; key < task.key_end; key += kKeyBlock) {
    const int key_count =
        static_cast<int>(task.key_end - key < kKeyBlock ? task.key_end - key : kKeyBlock);
    pack_keys<S>(task, key, key_count, scratch);
    float* key_gradient = task.key_gradient + (key - task.key_begin) * padded;
    float* value_gradient = task.value_gradient + (key - task.key_begin) * padded;
    for (int head = 0; head < task.group; ++head) {
      for (int t = 0; t < scratch.tiles_a_head; ++t) {
        const std::int64_t first = static_cast<std::int64_t>(t) * kQueryTile;
        const int count =
            static_cast<int>(queries - first < kQueryTile ? queries - first : kQueryTile);
        const std::int64_t position = task.query_begin + first;
        const KeyRange low = visible_keys(task.rule, position, task.key_count);
        const KeyRange high = visible_keys(task.rule, position + count - 1, task.key_count);
        const int begin = low.first > key ? static_cast<int>((low.first - key) / 2 * 2) : 0;
        const int end = high.last - key < key_count ? static_cast<int>(high.last - key) : key_count;
        if (begin >= end) continue;
        const auto tile = scratch.tile(head, t);
        score_gradients<S>(task, scratch, tile, head, key, begin, end, position, count);
        for (int i = begin; i < end; i += S::kRows) {
          product_rows<S, Store::kAdd>(
              smaller(S::kRows, end - i), padded / S::kWidth, words<S>(count),
              scratch.probabilities + i * words<S>(kQueryTile), words<S>(kQueryTile),
              tile.gradient_rows, padded, value_gradient + static_cast<std::int64_t>(i) * padded,
              padded);
        }
        for (int i = begin; i < end; i += S::kRows) {
          product_rows<S, Store::kAdd>(
              smaller(S::kRows, end - i), padded / S::kWidth, words<S>(count),
              scratch.score_gradients + i * words<S>(kQueryTile), words<S>(kQueryTile),
              tile.query_rows, padded, key_gradient + static_cast<std::int64_t>(i) * padded,
              padded);
        }
        const int first_pair = begin / S::kPair;
        for (int i = 0; i < task.head_dim; i += S::kRows) {
          product_rows<S, Store::kAdd>(
              smaller(S::kRows, task.head_dim - i), kQueryTile / S::kWidth,
              words<S>(end) - first_pair,
              scratch.key_columns + i * words<S>(kKeyBlock) + first_pair, words<S>(kKeyBlock),
              scratch.score_gradient_pairs + first_pair * kQueryTile, kQueryTile,
              tile.query_gradient + i * kQueryTile, kQueryTile);
        }
      }
    }
  }
  for (int head = 0; head < task.group; ++head) {
    for (int t = 0; t < scratch.tiles_a_head; ++t) {
      const std::int64_t first = static_cast<std::int64_t>(t) * kQueryTile;
      const int count =
          static_cast<int>(queries - first < kQueryTile ? queries - first : kQueryTile);
      write_query_gradient<S>(task, head, first, count, scratch.tile(head, t).query_gradient);
    }
  }
}

template <class S>
void sum_gradient_rows(const float* const* rows, int count, int head_dim, float scale,
                       void* output) {
  auto* out = static_cast<typename S::Source*>(output);
  for (int j = 0; j < head_dim; j += S::kWidth) {
    auto sum = S::zero();
    for (int i = 0; i < count; ++i) sum = S::add(sum, S::load(rows[i] + j));
    S::store_source(out + j, S::mul(sum, S::set1(scale)), head_dim - j);
  }
}

/// The table of an instruction set.
template <class S>
constexpr AttentionKernels make_attention_kernels() {
  return {
      [](int head_dim) -> std::int64_t { return round_up(head_dim, S::kWidth); },
      [](int rows, int head_dim) -> std::int64_t {
        return ForwardScratch<S>(rows, head_dim, measuring_address()).size;
      },
      [](int rows, int head_dim) -> std::int64_t {
        return (SoftmaxState<S>::size(rows, head_dim) + 15) / 16 * 16;
      },
      attention_forward<S>,
      attention_fold<S>,
      attention_finish<S>,
      [](std::int64_t queries, int group, int head_dim) -> std::int64_t {
        return BackwardScratch<S>(queries, group, head_dim, measuring_address()).size;
      },
      attention_backward<S>,
      sum_gradient_rows<S>,
      quantize_row<S>,
  };
}
