// Included within a target region of each instruction set's source; no headers in here.
//
// The optimizer reads and writes 12 bytes of state for each bfloat16 weight (2 of the weight, 2
// that complete its float32 master, 8 of moments) and does some ten instructions on them: memory
// sets its speed. Keeping the master as weight and lower half saves a sixth of that traffic, and 2
// bytes a weight.

/// One vector of weights, gradients and state.
template <typename T, typename G>
TIGERBOT_INLINE void adamw_vector(const AdamWTask& task, T* weight, std::int16_t* low, float* m,
                                  float* v, const G* gradient) {
  const V g = S::mul(S::load(gradient), S::set1(task.gradient_scale));
  const V first = S::fma(S::sub(g, S::load(m)), S::set1(1 - task.beta1), S::load(m));
  const V square = S::mul(S::mul(g, g), S::set1(1 - task.beta2));
  const V second = S::fma(S::load(v), S::set1(task.beta2), square);
  S::store(m, first);
  S::store(v, second);
  const V below = S::fma(S::sqrt(second), S::set1(task.root), S::set1(task.eps));
  const V step = S::div(S::mul(first, S::set1(task.rate)), below);
  if constexpr (sizeof(T) == 2) {
    const V w = S::mul(S::load_master(weight, low), S::set1(task.decay));
    S::store_master(weight, low, S::sub(w, step));
  } else {
    S::store(weight, S::sub(S::mul(S::load(weight), S::set1(task.decay)), step));
  }
}

template <typename T, typename G>
void adamw_run(const AdamWTask& task) {
  auto* weight = static_cast<T*>(task.weight);
  const auto* gradient = static_cast<const G*>(task.gradient);
  std::int64_t i = 0;
  for (; i + S::kWidth <= task.n; i += S::kWidth) {
    adamw_vector(task, weight + i, task.low + (sizeof(T) == 2 ? i : 0), task.first_moment + i,
                 task.second_moment + i, gradient + i);
  }
  if (i == task.n) return;
  T w[S::kWidth] = {};
  std::int16_t low[S::kWidth] = {};
  float m[S::kWidth] = {};
  float v[S::kWidth] = {};
  G g[S::kWidth] = {};
  const auto left = static_cast<std::size_t>(task.n - i);
  __builtin_memcpy(w, weight + i, left * sizeof(T));
  if (sizeof(T) == 2) __builtin_memcpy(low, task.low + i, left * 2);
  __builtin_memcpy(m, task.first_moment + i, left * 4);
  __builtin_memcpy(v, task.second_moment + i, left * 4);
  __builtin_memcpy(g, gradient + i, left * sizeof(G));
  adamw_vector(task, w, low, m, v, g);
  __builtin_memcpy(weight + i, w, left * sizeof(T));
  if (sizeof(T) == 2) __builtin_memcpy(task.low + i, low, left * 2);
  __builtin_memcpy(task.first_moment + i, m, left * 4);
  __builtin_memcpy(task.second_moment + i, v, left * 4);
}

template <typename T>
void adamw(const AdamWTask& task) {
  if (task.float_gradient) {
    adamw_run<T, float>(task);
  } else {
    adamw_run<T, T>(task);
  }
}

template <typename T>
void accumulate(std::int64_t n, const void* x, float* sum) {
  const auto* from = static_cast<const T*>(x);
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        lanes.store(sum + i, S::add(lanes.load(sum + i), lanes.load(from + i)));
      });
}

template <typename T>
double sum_of_squares(std::int64_t n, const void* x) {
  const auto* from = static_cast<const T*>(x);
  constexpr std::int64_t kRun = 2048;
  double sum = 0;
  for (std::int64_t begin = 0; begin < n; begin += kRun) {
    const std::int64_t count = n - begin < kRun ? n - begin : kRun;
    sum += sum_over<1>(
               count,
               [&](std::int64_t i, auto lanes, V* out) __attribute__((always_inline)) {
                 const V a = lanes.load(from + begin + i);
                 out[0] = S::mul(a, a);
               })
               .of[0];
  }
  return sum;
}
