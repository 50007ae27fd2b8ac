#include "weights/grow_vocabulary.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/std.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/hash.h"
#include "base/logging.h"
#include "base/random.h"
#include "base/text.h"
#include "weights/hugging_face_folder.h"
#include "weights/output_shift.h"
#include "weights/tokenizer_files.h"

namespace tigerbot {
namespace {

bool is_vocabulary_matrix(const std::string& name) {
  for (const char* ending : {"embed_tokens.weight", "word_embeddings.weight", "lm_head.weight"})
    if (name.ends_with(ending)) return true;
  return false;
}

/// True for the matrix that gives the logits.
bool is_output_matrix(const std::string& name, const ModelConfig& config) {
  return config.tie_word_embeddings || name.ends_with("lm_head.weight");
}

/// Ids that stand for something: padding at the end of a vocabulary is left out.
std::int64_t used_size(const Tokenizer& tokenizer) {
  return tokenizer.padding_from.value_or(tokenizer.size());
}

/// The row of a new piece; the mean of all where it has no spelling.
at::Tensor mean_row(const at::Tensor& rows, const Spelling& spelling, NewRows kind) {
  if (spelling.ids.empty()) return at::mean(rows, 0);
  at::Tensor sum = at::empty({rows.size(1)}, at::kFloat).zero_();
  double total = 0;
  for (std::size_t k = 0; k < spelling.ids.size(); ++k) {
    const double weight = kind == NewRows::kWeighted ? spelling.weights[k] : 1.0;
    sum.add_(rows[spelling.ids[k]], weight);
    total += weight;
  }
  return sum.div_(total);
}

void check_source(const ModelFiles& files, const GrowOptions& options) {
  if (files.config.family == ModelConfig::Family::kBert)
    fail("{}: an encoder's vocabulary is not grown; decoders' are", files.path.string());
  if (options.pad_vocabulary_to < 1 || options.pad_vocabulary_to > 65536)
    fail("--pad-vocabulary-to must be from 1 to 65536, not {}", options.pad_vocabulary_to);
  if (!std::filesystem::is_directory(options.tokenizer) ||
      (!std::filesystem::exists(options.tokenizer / "tokenizer.json") &&
       !std::filesystem::exists(options.tokenizer / "tokenizer.model")))
    fail("--tokenizer {}: must be a directory that holds tokenizer.json or tokenizer.model",
         options.tokenizer.string());
}

/// The configuration's id of a role follows the tokenizer's where the new tokenizer has another.
void follow_role(const std::optional<TokenId>& before, const std::optional<TokenId>& now,
                 std::optional<std::int64_t>& id) {
  if (now && now != before) id = *now;
}

}  // namespace

VocabularyGrowth plan_growth(const Tokenizer& old_tokenizer, const Tokenizer& new_tokenizer,
                             std::int64_t old_rows, const GrowOptions& options,
                             const std::string& where) {
  const std::int64_t old_size = std::min(used_size(old_tokenizer), old_rows);
  const std::int64_t new_size = used_size(new_tokenizer);
  if (new_size < old_size)
    fail(
        "{}: the tokenizer has {} pieces, fewer than the model's {}; it does not belong to the "
        "model",
        where, new_size, old_size);
  for (std::int64_t k = 0; k < old_size; ++k) {
    const auto id = static_cast<TokenId>(k);
    const std::string before = old_tokenizer.piece(id), now = new_tokenizer.piece(id);
    if (before == now || before.empty()) continue;
    fail(
        "{}: id {} is {} and was {} in the model's tokenizer; it does not belong to the model "
        "(`tigerbot tokenizer extend` makes one that does)",
        where, id, quote(now), quote(before));
  }
  VocabularyGrowth growth;
  growth.old_rows = old_size;
  growth.new_rows = options.new_rows;
  growth.seed = options.seed;
  growth.new_pieces.reserve(static_cast<std::size_t>(new_size - old_size));
  for (std::int64_t k = old_size; k < new_size; ++k) {
    const auto id = static_cast<TokenId>(k);
    growth.new_pieces.push_back(
        spell_piece(old_tokenizer, new_tokenizer.piece(id), new_tokenizer.is_special(id)));
    for (const TokenId part : growth.new_pieces.back().ids) {
      if (part < old_size) continue;
      fail("{}: piece {} is spelled with id {}, past the model's {} pieces", where,
           quote(new_tokenizer.piece(id)), part, old_size);
    }
  }
  const std::int64_t unit = options.pad_vocabulary_to;
  // Rows that the model had are not taken away, even if nothing stands for them.
  growth.rows = std::max(old_rows, (new_size + unit - 1) / unit * unit);
  return growth;
}

at::Tensor grow_rows(const at::Tensor& matrix, const VocabularyGrowth& growth,
                     const std::string& name, bool output) {
  const at::Tensor old = matrix.narrow(0, 0, growth.old_rows);
  const at::Tensor wide = old.to(at::kFloat);
  at::Tensor grown = at::empty({growth.rows, matrix.size(1)}, matrix.options());
  grown.narrow(0, 0, growth.old_rows).copy_(old);
  const std::int64_t features = matrix.size(1);
  const auto count = static_cast<std::int64_t>(growth.new_pieces.size());
  const at::Tensor shift =
      output && growth.output_shift.defined() ? growth.output_shift : at::zeros({features});
  if (growth.new_rows == NewRows::kRandom) {
    const double deviation = at::std(wide, /*unbiased=*/false).item<double>();
    const std::uint64_t stream = hash128(name).low;
    at::Tensor values = at::empty({count, features}, at::kFloat);
    float* out = values.data_ptr<float>();
    at::parallel_for(0, values.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t k = begin; k < end; ++k)
        out[k] = static_cast<float>(
            deviation * random_normal({growth.seed, stream, static_cast<std::uint64_t>(k)}));
    });
    grown.narrow(0, growth.old_rows, count).copy_(values.add_(shift));
  } else {
    for (std::int64_t k = 0; k < count; ++k)
      grown[growth.old_rows + k].copy_(
          mean_row(wide, growth.new_pieces[static_cast<std::size_t>(k)], growth.new_rows)
              .add_(shift));
  }
  const std::int64_t first_padding = growth.old_rows + count;
  if (first_padding < growth.rows)
    grown.narrow(0, first_padding, growth.rows - first_padding).copy_(at::mean(wide, 0));
  return grown;
}

namespace {

/// `files` with matrices that have the rows of `growth`, as it is when they are loaded.
ModelFiles with_grown_rows(const ModelFiles& files,
                           const std::shared_ptr<const VocabularyGrowth>& growth) {
  ModelFiles grown = files;
  grown.config.vocab_size = growth->rows;
  TensorSet tensors;
  for (const StoredTensor& stored : files.tensors->tensors()) {
    StoredTensor tensor = stored;
    if (is_vocabulary_matrix(stored.name)) {
      if (stored.shape.size() != 2 || stored.shape[0] != files.config.vocab_size)
        fail("{}: tensor {} has the shape {}, not a row for each of {} pieces", stored.file,
             quote(stored.name), shape_text(stored.shape), files.config.vocab_size);
      tensor.shape[0] = growth->rows;
      tensor.load = [load = stored.load, growth, name = stored.name,
                     output = is_output_matrix(stored.name, files.config)](at::ScalarType type) {
        return grow_rows(load(type), *growth, name, output);
      };
    }
    tensors.add(std::move(tensor));
  }
  // The loads of `files` keep what they read from alive.
  grown.tensors = std::make_shared<const TensorSet>(std::move(tensors));
  return grown;
}

}  // namespace

ModelFiles grow_model(const ModelFiles& files, const GrowOptions& options) {
  check_source(files, options);
  const auto old_tokenizer = files.load_tokenizer();
  const auto new_tokenizer = open_tokenizer(options.tokenizer);
  const auto growth = std::make_shared<VocabularyGrowth>(
      plan_growth(*old_tokenizer, *new_tokenizer, files.config.vocab_size, options,
                  options.tokenizer.string()));
  ModelFiles grown = with_grown_rows(files, growth);
  if (options.output_shift && !growth->new_pieces.empty()) {
    const OutputShift fitted =
        sample_output_shift(grown, *new_tokenizer, growth->old_rows,
                            growth->old_rows + static_cast<std::int64_t>(growth->new_pieces.size()),
                            options.old_text_loss, options.seed);
    if (fitted.old_text_loss > options.old_text_loss)
      log_warning(
          "{}: new pieces cost text in the old languages {:.2g} nats a token; no shift of their "
          "output rows takes that away",
          files.path.string(), fitted.old_text_loss);
    log_info(
        "output rows of new pieces are shifted: old text costs {:.2g} nats a token more, {:.2g} "
        "without the shift; new pieces cost {:.2f} nats beside the choice among them",
        fitted.old_text_loss, fitted.unshifted_loss, fitted.new_piece_loss);
    growth->output_shift = fitted.shift;
  }

  follow_role(old_tokenizer->bos_id, new_tokenizer->bos_id, grown.config.bos_token_id);
  follow_role(old_tokenizer->pad_id, new_tokenizer->pad_id, grown.config.pad_token_id);
  if (new_tokenizer->eos_id && new_tokenizer->eos_id != old_tokenizer->eos_id) {
    grown.config.eos_token_ids = {*new_tokenizer->eos_id};
    grown.eos_token_ids = grown.config.eos_token_ids;
  }
  const Json tokenizer_config = read_tokenizer_config(options.tokenizer);
  if (const auto text = read_chat_template(options.tokenizer, tokenizer_config); !text.empty())
    grown.chat_template = text;
  return grown;
}

}  // namespace tigerbot
