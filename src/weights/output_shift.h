#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "tokenizer/tokenizer.h"
#include "weights/model_files.h"

/// What is added to the output rows of all new pieces, so that a model that has just grown writes
/// its old languages as before.
///
/// A new row that is the mean of old ones takes a little of the probability in every context. One
/// vector d, the same for every new piece, changes the logit of all of them by h.d in the context
/// whose hidden state is h: a gate between the old vocabulary and the new. It is fitted by logistic
/// regression, whose offset is the log-odds that the unshifted rows give: contexts of text in the
/// old languages say no, contexts with a new piece next say yes. The model writes both kinds of
/// text itself: samples of old pieces alone, and samples in which most pieces are new ones. No text
/// is needed, and the old languages are whatever the model speaks.
namespace tigerbot {

struct OutputShift {
  at::Tensor shift;           ///< float [hidden_size]
  double old_text_loss = 0;   ///< nats a token that old text costs more, on samples kept back
  double unshifted_loss = 0;  ///< the same without the shift
  double new_piece_loss = 0;  ///< nats that the gate costs where a new piece comes next, likewise
  std::int64_t contexts = 0;  ///< that the fit saw
};

/// Labelled contexts: hidden states [n, features], the log-odds of the new pieces there.
struct GateContexts {
  at::Tensor hidden;  ///< double [n, features]
  at::Tensor offset;  ///< double [n]
};

/// Fits d to the `fit` contexts under several ridges, lowers each along the part of the hidden
/// state that hardly changes until old text loses no more than `target` nats a token on
/// `old_check`, and gives the one that costs `new_check` least.
OutputShift fit_output_shift(const GateContexts& old_fit, const GateContexts& old_check,
                             const GateContexts& new_fit, const GateContexts& new_check,
                             double target);

/// Samples text from `grown`, whose pieces from `old_pieces` to `pieces` are new, and fits the
/// shift of its output rows. Deterministic for a seed.
OutputShift sample_output_shift(const ModelFiles& grown, const Tokenizer& tokenizer,
                                std::int64_t old_pieces, std::int64_t pieces, double target,
                                std::uint64_t seed);

}  // namespace tigerbot
