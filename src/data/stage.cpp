#include "data/stage.h"

#include <array>

#include "base/error.h"
#include "base/text.h"
#include "data/dedup/overlap.h"
#include "data/stages/harmful.h"
#include "data/stages/language.h"
#include "data/stages/normalize.h"
#include "data/stages/quality.h"
#include "data/stages/rules.h"

namespace tigerbot::data {
namespace {

struct Kind {
  std::string_view name;
  std::unique_ptr<DocumentStage> (*make)(JsonReader&);
};

// One line a kind; the maker stands in stages/NAME.h.
const std::array<Kind, 6> kKinds{{
    {"harmful", make_harmful_stage},
    {"language", make_language_stage},
    {"normalize", make_normalize_stage},
    {"overlap", make_overlap_stage},
    {"quality", make_quality_stage},
    {"rules", make_rules_stage},
}};

}  // namespace

std::vector<std::string> document_stage_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kKinds) names.emplace_back(kind.name);
  return names;
}

std::unique_ptr<DocumentStage> make_document_stage(JsonReader& reader) {
  const auto name = reader.get<std::string>("kind");
  for (const Kind& kind : kKinds) {
    if (kind.name == name) {
      auto stage = kind.make(reader);
      reader.finish();
      return stage;
    }
  }
  fail("{}: there is no stage {}{}", reader.place("kind"), quote(name),
       did_you_mean(name, document_stage_kinds()));
}

}  // namespace tigerbot::data
