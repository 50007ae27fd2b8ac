// Included within a target region of each instruction set's source; no headers in here.
//
// RMSNorm and LayerNorm. A row is read from memory once and stays in the first-level cache for the
// passes that follow. A row's sums run over lanes in a fixed order, so its bits are the row's own.

template <bool kCentered, typename T>
void norm_forward_rows(const NormForward& task) {
  const std::int64_t n = task.features;
  const float per_feature = 1.0f / static_cast<float>(n);
  const float* weight = task.weight;
  const float* bias = task.bias;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const T* x = static_cast<const T*>(task.x) + row * n;
    T* y = static_cast<T*>(task.y) + row * n;
    if (task.residual != nullptr) {
      const T* residual = static_cast<const T*>(task.residual) + row * n;
      T* sum = static_cast<T*>(task.sum) + row * n;
      for_each_vector(
          n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
            lanes.store(sum + i, S::add(lanes.load(x + i), lanes.load(residual + i)));
          });
      x = sum;
    }
    float mean = 0;
    if constexpr (kCentered) {
      mean =
          per_feature * sum_over<1>(
                            n, [&](std::int64_t i, auto lanes, V* out)
                                   __attribute__((always_inline)) { out[0] = lanes.load(x + i); })
                            .of[0];
      task.mean[row] = mean;
    }
    const V center = S::set1(mean);
    const float squares =
        sum_over<1>(
            n,
            [&](std::int64_t i, auto lanes, V* out) __attribute__((always_inline)) {
              V a = lanes.load(x + i);
              if constexpr (kCentered) a = S::sub(a, center);
              out[0] = S::mul(a, a);
            })
            .of[0];
    const float scale = 1.0f / __builtin_sqrtf(squares * per_feature + task.eps);
    task.scale[row] = scale;
    const V factor = S::set1(scale);
    for_each_vector(
        n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
          V a = lanes.load(x + i);
          if constexpr (kCentered) {
            a = S::mul(S::sub(a, center), factor);
            lanes.store(y + i, S::fma(a, lanes.load(weight + i), lanes.load(bias + i)));
          } else {
            lanes.store(y + i, S::mul(S::mul(a, factor), lanes.load(weight + i)));
          }
        });
  }
}

template <typename T>
void norm_forward(const NormForward& task) {
  if (task.bias != nullptr) {
    norm_forward_rows<true, T>(task);
  } else {
    norm_forward_rows<false, T>(task);
  }
}

/// With n the normalized row, g = dy * weight and means over the row:
/// dx = scale (g - n mean(g n) - [centered] mean(g)) + dsum, dweight += dy n, dbias += dy.
template <bool kCentered, typename T>
void norm_backward_rows(const NormBackward& task) {
  constexpr int kSums = kCentered ? 2 : 1;
  const std::int64_t n = task.features;
  const float per_feature = 1.0f / static_cast<float>(n);
  const float* weight = task.weight;
  float* dweight = task.dweight;
  float* dbias = task.dbias;
  for (std::int64_t row = 0; row < task.rows; ++row) {
    const T* x = static_cast<const T*>(task.x) + row * n;
    const T* dy = static_cast<const T*>(task.dy) + row * n;
    T* dx = static_cast<T*>(task.dx) + row * n;
    const V center = S::set1(kCentered ? task.mean[row] : 0.0f);
    const V factor = S::set1(task.scale[row]);
    const auto normalized = [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
      V a = lanes.load(x + i);
      if constexpr (kCentered) a = S::sub(a, center);
      return S::mul(a, factor);
    };
    const auto sums = sum_over<kSums>(
        n, [&](std::int64_t i, auto lanes, V* out) __attribute__((always_inline)) {
          const V g = S::mul(lanes.load(dy + i), lanes.load(weight + i));
          out[0] = S::mul(g, normalized(i, lanes));
          if constexpr (kCentered) out[1] = g;
        });
    const V along = S::set1(sums.of[0] * per_feature);
    const V constant = S::set1(kCentered ? sums.of[kSums - 1] * per_feature : 0.0f);
    const auto finish = [&](auto passed) __attribute__((always_inline)) {
      for_each_vector(
          n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
            const V a = normalized(i, lanes);
            const V gradient = lanes.load(dy + i);
            V g = S::mul(gradient, lanes.load(weight + i));
            if constexpr (kCentered) g = S::sub(g, constant);
            lanes.store(dweight + i, S::fma(gradient, a, lanes.load(dweight + i)));
            if constexpr (kCentered)
              lanes.store(dbias + i, S::add(gradient, lanes.load(dbias + i)));
            lanes.store(dx + i, passed(i, lanes, S::mul(S::sub(g, S::mul(a, along)), factor)));
          });
    };
    if (task.dsum != nullptr) {
      const T* dsum = static_cast<const T*>(task.dsum) + row * n;
      finish([&](std::int64_t i, auto lanes, V g)
                 __attribute__((always_inline)) { return S::add(g, lanes.load(dsum + i)); });
    } else {
      finish([](std::int64_t, auto, V g) __attribute__((always_inline)) { return g; });
    }
  }
}

template <typename T>
void norm_backward(const NormBackward& task) {
  if (task.dbias != nullptr) {
    norm_backward_rows<true, T>(task);
  } else {
    norm_backward_rows<false, T>(task);
  }
}
