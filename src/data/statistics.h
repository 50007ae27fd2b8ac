#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "data/document.h"
#include "data/reader.h"
#include "data/stage.h"

/// What a run counts: how many documents, bytes and characters enter each stage by language, why
/// documents are dropped or edited, and examples. Sums of parts are the whole, in any order.
namespace tigerbot::data {

struct Amount {
  std::uint64_t documents = 0, bytes = 0, characters = 0, tokens = 0;

  Amount& operator+=(const Amount& other);
};

using ByLanguage = std::map<std::string, Amount>;  ///< "" where the language is not known

/// A document shown in the report: the beginning of its text and why it is shown.
struct Example {
  std::uint64_t order = 0;  ///< a hash: the smallest are shown, which is a random sample
  std::string id, source, language, excerpt;
  std::string other_id, other;  ///< the document it duplicates, or its text before an edit
  double value = 0, threshold = 0;
  std::string detail;
};

/// The few examples of each reason that a random draw picks, the same whoever counts.
class Examples {
 public:
  /// True if an example of this order would be kept, so that nobody cuts texts in vain.
  bool wants(const std::string& reason, std::uint64_t order) const;
  void add(const std::string& reason, Example example);
  void add(const Examples& other);
  const std::map<std::string, std::vector<Example>>& by_reason() const { return by_reason_; }

  Json to_json() const;
  static Examples from_json(const Json& json);

 private:
  std::map<std::string, std::vector<Example>> by_reason_;
};

/// Counts in bins of equal width, by the number of the bin.
using Histogram = std::map<int, std::uint64_t>;

/// Bins of a length in characters: four for each doubling.
int length_bin(std::uint64_t characters);
/// Bins of a score: 0.05 wide, from -1 to 2.
int score_bin(double score);

struct Statistics {
  std::uint64_t input_bytes = 0;        ///< on the disk
  std::vector<ByLanguage> entered;      ///< by stage; one more than stages: what the last one left
  std::map<std::string, Amount> drops;  ///< by reason code
  std::map<std::string, std::uint64_t> edits;  ///< documents by reason code
  std::uint64_t bad_inputs = 0;
  std::vector<BadInput> first_bad_inputs;  ///< at most kBadInputsShown
  Histogram kept_lengths, dropped_lengths;
  std::map<std::string, Histogram> scores;  ///< of the documents that the stages leave, by name
  Examples dropped, kept, edited;           ///< by reason; by language; by edit
  std::vector<double> seconds;              ///< by stage (the first: reading): not reproducible

  static constexpr std::size_t kBadInputsShown = 100;

  void add(const Statistics& other);
  Json to_json() const;
  static Statistics from_json(const Json& json);
};

/// The first `bytes` bytes or so of a text, cut between characters, with "…" if anything is
/// missing.
std::string excerpt_of(std::string_view text, std::size_t bytes = 700);

/// Number of characters (code points) of valid UTF-8.
std::uint64_t count_characters(std::string_view text);

Json to_json(const Amount& amount);
Amount amount_from_json(const Json& json);
Json to_json(const BadInput& bad);

}  // namespace tigerbot::data
