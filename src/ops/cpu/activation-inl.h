// Included within a target region of each instruction set's source; no headers in here.
//
// swiglu and gelu. Each reads its inputs once and writes its result once; what is between stays in
// registers, so memory sets their speed as long as few instructions do: hence the short
// polynomials, and a reciprocal estimate in place of a division, for bfloat16.

template <typename T>
void swiglu(std::int64_t n, const void* gate, const void* up, void* y) {
  const auto* g = static_cast<const T*>(gate);
  const auto* u = static_cast<const T*>(up);
  auto* out = static_cast<T*>(y);
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        const V a = lanes.load(g + i);
        lanes.store(out + i, S::mul(S::mul(a, lanes.load(u + i)), sigmoid<T>(a)));
      });
}

/// d silu(g) = s + g s (1 - s) with s = sigmoid(g).
template <typename T>
void swiglu_backward(std::int64_t n, const void* gate, const void* up, const void* dy, void* dgate,
                     void* dup) {
  const auto* g = static_cast<const T*>(gate);
  const auto* u = static_cast<const T*>(up);
  const auto* d = static_cast<const T*>(dy);
  auto* dg = static_cast<T*>(dgate);
  auto* du = static_cast<T*>(dup);
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        const V a = lanes.load(g + i);
        const V gradient = lanes.load(d + i);
        const V s = sigmoid<T>(a);
        const V silu = S::mul(a, s);
        const V slope = S::fma(silu, S::sub(S::set1(1), s), s);
        const V through = S::mul(gradient, lanes.load(u + i));
        lanes.store(du + i, S::mul(gradient, silu));
        lanes.store(dg + i, S::mul(through, slope));
      });
}

/// x Phi(x) = max(x, 0) - |x| q with q = Phi(-|x|) = erfc(|x| / sqrt 2) / 2, and
/// erfc(z) = e^(-z^2) t P(t) with t = 1 / (1 + z / 2).
struct ExactGelu {
  /// q; `density` becomes e^(-x^2 / 2).
  template <typename T>
  static TIGERBOT_INLINE V tail(V magnitude, V& density) {
    constexpr float kHalfOfRootHalf = 0.35355339059327376f;
    const V t = reciprocal_of<T>(S::fma(magnitude, S::set1(kHalfOfRootHalf), S::set1(1)));
    density = exp2_of<T>(S::mul(S::mul(magnitude, magnitude), S::set1(-0.5f * kLog2E)));
    V p;
    if constexpr (kShort<T>) {
      p = polynomial(t, {0.1405283510684967f, 0.15005196630954742f, 0.07125665992498398f,
                         0.2144867479801178f, -0.07624181360006332f});
    } else {
      p = polynomial(t, {0.14104320108890533f, 0.14118188619613647f, 0.12164358049631119f,
                         0.10075884312391281f, -0.011358024552464485f, 0.13530655205249786f,
                         -0.23952557146549225f, 0.1399109959602356f, -0.028961453586816788f});
    }
    return S::mul(S::mul(t, density), p);
  }

  template <typename T>
  static TIGERBOT_INLINE V value(V x) {
    V density;
    const V magnitude = S::abs(x);
    const V q = tail<T>(magnitude, density);
    return S::sub(S::max(S::zero(), x), S::mul(magnitude, q));
  }

  /// Phi(x) + x phi(x).
  template <typename T>
  static TIGERBOT_INLINE V slope(V x) {
    constexpr float kPhiScale = 0.39894228040143268f;
    V density;
    const V q = tail<T>(S::abs(x), density);
    const V phi = S::where_positive(x, S::sub(S::set1(1), q), q);
    return S::fma(S::mul(x, S::set1(kPhiScale)), density, phi);
  }
};

/// x sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3): the tanh form, rearranged.
struct TanhGelu {
  static constexpr float kTwoRoot = 1.5957691216057308f;
  static constexpr float kCubic = 0.044715f;

  template <typename T>
  static TIGERBOT_INLINE V gate(V x, V square) {
    const V u = S::mul(x, S::fma(square, S::set1(kTwoRoot * kCubic), S::set1(kTwoRoot)));
    return sigmoid<T>(u);
  }

  template <typename T>
  static TIGERBOT_INLINE V value(V x) {
    return S::mul(x, gate<T>(x, S::mul(x, x)));
  }

  template <typename T>
  static TIGERBOT_INLINE V slope(V x) {
    const V square = S::mul(x, x);
    const V s = gate<T>(x, square);
    const V du = S::fma(square, S::set1(3 * kTwoRoot * kCubic), S::set1(kTwoRoot));
    return S::fma(S::mul(S::mul(x, s), S::sub(S::set1(1), s)), du, s);
  }
};

template <class Kind, typename T>
void gelu(std::int64_t n, const void* x, void* y) {
  const auto* in = static_cast<const T*>(x);
  auto* out = static_cast<T*>(y);
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        lanes.store(out + i, Kind::template value<T>(lanes.load(in + i)));
      });
}

template <class Kind, typename T>
void gelu_backward(std::int64_t n, const void* x, const void* dy, void* dx) {
  const auto* in = static_cast<const T*>(x);
  const auto* gradient = static_cast<const T*>(dy);
  auto* out = static_cast<T*>(dx);
  for_each_vector(
      n, [&](std::int64_t i, auto lanes) __attribute__((always_inline)) {
        const V slope = Kind::template slope<T>(lanes.load(in + i));
        lanes.store(out + i, S::mul(lanes.load(gradient + i), slope));
      });
}
