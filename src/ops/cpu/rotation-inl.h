// Included within a target region of each instruction set's source; no headers in here.
//
// Rotary position embedding: (a, b) -> (a cos - b sin, b cos + a sin). A token's angles serve all
// of its heads from the first-level cache. The gradient is the rotation by the opposite angle.

template <bool kAdjacent, typename T>
void rotate_tokens(const Rotation& task) {
  const std::int64_t half = task.half;
  const V turn = S::set1(task.backward ? -1.0f : 1.0f);
  const auto copied = static_cast<std::size_t>(task.head_dim - 2 * half) * sizeof(T);
  for (std::int64_t token = 0; token < task.tokens; ++token) {
    const float* cos = task.cos + token * half;
    const float* sin = task.sin + token * half;
    for (std::int64_t head = 0; head < task.heads; ++head) {
      const T* x =
          static_cast<const T*>(task.x) + token * task.token_stride + head * task.head_stride;
      T* y = static_cast<T*>(task.y) + (token * task.heads + head) * task.head_dim;
      for_each_vector(
          half, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
            const V c = lanes.load(cos + i);
            const V s = S::mul(turn, lanes.load(sin + i));
            V a;
            V b;
            if constexpr (kAdjacent) {
              lanes.load_pairs(x + 2 * i, a, b);
            } else {
              a = lanes.load(x + i);
              b = lanes.load(x + half + i);
            }
            const V turned_a = S::sub(S::mul(a, c), S::mul(b, s));
            const V turned_b = S::fma(a, s, S::mul(b, c));
            if constexpr (kAdjacent) {
              lanes.store_pairs(y + 2 * i, turned_a, turned_b);
            } else {
              lanes.store(y + i, turned_a);
              lanes.store(y + half + i, turned_b);
            }
          });
      if (copied > 0) __builtin_memcpy(y + 2 * half, x + 2 * half, copied);
    }
  }
}

template <typename T>
void rotate(const Rotation& task) {
  if (task.adjacent) {
    rotate_tokens<true, T>(task);
  } else {
    rotate_tokens<false, T>(task);
  }
}
