#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/reader.h"

namespace tigerbot::data {

/// Files whose texts are sampled. `language` of all of them; empty: what each row's `language`
/// says.
struct SampleInput {
  std::string language;
  std::filesystem::path file;
};

/// Inputs as a user writes them: files, folders or globs, each with "zh=" before it or not. Of a
/// folder that holds JSON lines (what `data build` writes) only these are taken, not the reports
/// beside them. A path that has "=" in it and exists is a path.
std::vector<SampleInput> find_sample_inputs(const std::vector<std::string>& patterns);

/// "zh=0.5,ja=3" as numbers; they need not add up to one.
std::map<std::string, double> parse_shares(const std::vector<std::string>& shares);

struct SampleOptions {
  std::uint64_t bytes = 0;  ///< of text; 0: everything
  /// By language; a language with a share must have text. Empty: the same for every language found.
  std::map<std::string, double> shares;
  std::uint64_t seed = 0;
  std::function<void(const BadInput&)> on_bad_input;  ///< none: bad input is an Error
  /// Bytes of the files read so far, of those of all passes.
  std::function<void(std::uint64_t done, std::uint64_t total)> on_progress;
};

/// Texts drawn from many files, the asked shares of each language, spread evenly over its texts: a
/// text is in or out by a hash of itself and the seed, so the sample does not hang on names or
/// order of the files, and a larger one holds the smaller. Reads the files twice where it must
/// choose.
class TextSample {
 public:
  struct Language {
    std::uint64_t available_bytes = 0;  ///< 0 where nothing had to be chosen
    std::uint64_t bytes = 0, texts = 0;
  };

  /// An Error where a language with a share has no text at all.
  TextSample(std::vector<SampleInput> inputs, SampleOptions options);
  ~TextSample();

  /// The next text; nothing at the end.
  std::optional<Document> next();

  /// What was drawn so far, by language ("" where unknown).
  const std::map<std::string, Language>& languages() const { return languages_; }

 private:
  // Texts are taken whose key is below `full`, and of those in this bin so many bytes.
  struct Quota {
    std::uint32_t full = 0;
    std::uint64_t rest = 0;
  };
  std::optional<Document> read();
  void measure();
  /// An Error where a language that an input is named for gave no text.
  void require_every_language() const;
  std::uint32_t bin_of(const Document& document) const;
  void report_progress();

  std::vector<SampleInput> inputs_;
  SampleOptions options_;
  std::map<std::string, Language> languages_;
  std::map<std::string, Quota> quotas_;
  std::unique_ptr<Reader> reader_;
  std::size_t next_input_ = 0;
  std::string language_;
  std::uint64_t bytes_before_ = 0, total_bytes_ = 0;
  std::uint64_t documents_since_report_ = 0;
};

}  // namespace tigerbot::data
