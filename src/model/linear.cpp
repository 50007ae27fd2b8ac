#include "model/linear.h"

#include <utility>

#include "base/error.h"
#include "ops/checks.h"

namespace tigerbot {

Linear::Linear(std::string name, std::int64_t in_features, std::int64_t out_features, bool has_bias)
    : name_(std::move(name)),
      in_features_(in_features),
      out_features_(out_features),
      has_bias_(has_bias) {}

void Linear::append_parameters(std::vector<Parameter>& list) {
  if (!is_quantized()) {
    list.push_back({name_ + ".weight", {out_features_, in_features_}, &weight_});
  }
  if (has_bias_) list.push_back({name_ + ".bias", {out_features_}, &bias_});
}

void Linear::set_quantized(ops::QuantizedWeight weight) {
  if (weight.in_features() != in_features_ || weight.out_features() != out_features_) {
    fail("{}: the quantized weight is [{}, {}]; [{}, {}] is needed", name_, weight.out_features(),
         weight.in_features(), out_features_, in_features_);
  }
  quantized_ = std::move(weight);
  weight_ = at::Tensor();
}

void Linear::pack() {
  if (weight_.defined() && ops::takes_kernels(weight_)) packed_ = ops::PackedWeight(weight_);
}

void Linear::release_weight() {
  unpack();
  quantized_ = ops::QuantizedWeight();
  weight_ = at::Tensor();
}

}  // namespace tigerbot
