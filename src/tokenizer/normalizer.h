#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tigerbot {

/// One step (or a sequence of steps) that rewrites text before it is split, as the `normalizer`
/// node of tokenizer.json describes it. Immutable and safe to use from many threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;

  /// The rewritten text; `text` must be valid UTF-8, and so is what comes back.
  virtual std::string normalize(std::string_view text) const = 0;

  /// True if normalize(text) is surely `text` itself. A quick check that may say false in doubt;
  /// it lets callers work on the text in place.
  virtual bool keeps(std::string_view text) const { return text.empty(); }
};

/// Builds the normalizer that `node` describes; null for a JSON null. `where` names the file and
/// the node in errors. A type or a field that we do not know is an error.
std::unique_ptr<Normalizer> make_normalizer(const nlohmann::json& node, const std::string& where);

/// BERT's normalizer, for directories that hold a vocab.txt and no tokenizer.json. Accents go with
/// the case unless `strip_accents` says otherwise.
struct BertNormalizerOptions {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  bool strip_accents = true;
  bool lowercase = true;
};
std::unique_ptr<Normalizer> make_bert_normalizer(const BertNormalizerOptions& options);

}  // namespace tigerbot
