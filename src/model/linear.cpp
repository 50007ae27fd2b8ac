#include "model/linear.h"

#include <utility>

namespace tigerbot {

Linear::Linear(std::string name, std::int64_t in_features, std::int64_t out_features, bool has_bias)
    : name_(std::move(name)),
      in_features_(in_features),
      out_features_(out_features),
      has_bias_(has_bias) {}

void Linear::append_parameters(std::vector<Parameter>& list) {
  list.push_back({name_ + ".weight", {out_features_, in_features_}, &weight_});
  if (has_bias_) list.push_back({name_ + ".bias", {out_features_}, &bias_});
}

}  // namespace tigerbot
