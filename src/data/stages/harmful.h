#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/stage.h"
#include "data/stages/phrase_automaton.h"
#include "data/stages/word_list.h"

namespace tigerbot::data {

/// What a dictionary finds in a text.
struct DictionaryFinding {
  std::size_t hits = 0;                      ///< words, of overlapping ones the longest
  double weight = 0;                         ///< sum of their weights
  double density = 0;                        ///< weight for each 1,000 characters
  std::map<std::string, double> categories;  ///< weight by category
  std::string examples;                      ///< the first words found
};

/// A dictionary of harmful words, with their variants (see PhraseAutomaton).
class HarmDictionary {
 public:
  explicit HarmDictionary(std::vector<ListedWord> words);

  DictionaryFinding find(std::string_view text) const;
  std::size_t size() const { return words_.size(); }
  std::size_t ignored() const { return automaton_.ignored(); }

 private:
  std::vector<ListedWord> words_;
  PhraseAutomaton automaton_;
};

/// `kind = "harmful"`: dictionary and classifiers, combined. Keys and reason codes:
/// docs/data-stages.md.
std::unique_ptr<DocumentStage> make_harmful_stage(JsonReader& reader);

}  // namespace tigerbot::data
