#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/decoder.h"

namespace tigerbot::train {

/// A part of a model that training changes: a whole parameter, some of its rows, or a matrix of an
/// adapter.
struct TrainedParameter {
  std::string name;                 ///< as the model's files name it
  std::vector<std::int64_t> shape;  ///< of the whole parameter
  std::int64_t first_row = 0;       ///< the part that training changes: rows [first_row,
  std::int64_t rows = 0;            ///<   first_row + rows) of the first dimension
  at::Tensor* tensor = nullptr;     ///< where the whole parameter lies in the model
  bool decays = true;               ///< false for norms and biases: no weight decay

  /// The part of the parameter, or of anything of its shape, that training changes.
  at::Tensor part(const at::Tensor& whole) const { return whole.narrow(0, first_row, rows); }
};

/// The parameters that the patterns name, in the model's order. A pattern is a name in which `*`
/// stands for any text, with rows of the first dimension behind it if wanted:
/// "model.embed_tokens.weight[49152:]". "all" names every parameter. A pattern that names nothing,
/// or rows that are not there, is an Error that begins with `place`.
///
/// They become leaves of autograd with memory of their own; all others are frozen.
std::vector<TrainedParameter> choose_parameters(Decoder& model,
                                                const std::vector<std::string>& patterns,
                                                const std::string& place);

/// Freezes every parameter of the model.
void freeze(Decoder& model);

/// The elements that training changes.
std::int64_t count_elements(const std::vector<TrainedParameter>& parameters);

/// Whether `text` is `pattern`, `*` standing for any text.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace tigerbot::train
