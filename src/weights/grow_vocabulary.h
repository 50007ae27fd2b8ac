#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"
#include "weights/model_files.h"

/// A model for an extended tokenizer: the embedding and the output layer get a row for every piece
/// that is new, and everything else stays.
namespace tigerbot {

/// What a new row starts as.
enum class NewRows {
  kMean,      ///< the mean of the rows that spelled its text before
  kWeighted,  ///< the same, each weighted by the bytes of its piece
  kRandom,    ///< normal around zero with the standard deviation of the old rows
};

struct GrowOptions {
  std::filesystem::path tokenizer;  ///< a directory with tokenizer.json or tokenizer.model
  NewRows new_rows = NewRows::kMean;
  std::uint64_t seed = 0;               ///< of kRandom
  std::int64_t pad_vocabulary_to = 64;  ///< rows become a multiple of this
  bool output_shift = true;             ///< see weights/output_shift.h
  double old_text_loss = 5e-5;          ///< nats a token that the shift leaves old text to lose
};

/// How one new piece was spelled with the old ones; empty where the old tokenizer has nothing for
/// it, whose row then starts as the mean of all.
struct Spelling {
  std::vector<TokenId> ids;
  std::vector<double> weights;  ///< bytes of each piece
};

/// Which rows a grown matrix has: first the `old_rows` as they are, then one for each spelling,
/// then padding up to `rows`.
struct VocabularyGrowth {
  std::int64_t old_rows = 0;
  std::vector<Spelling> new_pieces;
  std::int64_t rows = 0;
  NewRows new_rows = NewRows::kMean;
  std::uint64_t seed = 0;
  /// Float [features], added to new rows of the output layer (of the embedding that is also one);
  /// undefined: nothing is.
  at::Tensor output_shift = {};
};

/// Compares the tokenizers and spells what is new. An Error if an old id means something else in
/// the new tokenizer: it does not belong to the model. `where` names it in messages.
VocabularyGrowth plan_growth(const Tokenizer& old_tokenizer, const Tokenizer& new_tokenizer,
                             std::int64_t old_rows, const GrowOptions& options,
                             const std::string& where);

/// Spells `piece` of the new tokenizer with the pieces of the old, as the old tokenizer spells its
/// text. `special` pieces are text as they stand.
Spelling spell_piece(const Tokenizer& old_tokenizer, const std::string& piece, bool special);

/// The matrix [old rows or more, features] with the rows that `growth` asks for, in its own type.
/// Padding rows are the mean of all old ones: their logit is then the mean of the others' and never
/// the highest, so that no program ever emits one.
/// `output`: the matrix is the output layer's, and the shift applies.
at::Tensor grow_rows(const at::Tensor& matrix, const VocabularyGrowth& growth,
                     const std::string& name, bool output = false);

/// `files` with a grown embedding and output layer, the new size in its configuration, and the
/// roles (end of sequence and so on) of the new tokenizer where they differ from the old one's.
ModelFiles grow_model(const ModelFiles& files, const GrowOptions& options);

}  // namespace tigerbot
