#include "data/pipeline/global_phase.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "data/dedup/exact_duplicates.h"
#include "data/dedup/near_duplicates.h"
#include "data/tasks.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExact = "exact_duplicates";

ExactDuplicateSettings exact_settings(const Recipe& recipe, const StageSettings& stage) {
  JsonReader reader(stage.entry, recipe.path.string(), stage.place);
  reader.ignore("kind");
  return read_exact_duplicate_settings(reader);
}

NearDuplicateSettings near_settings(const Recipe& recipe, const StageSettings& stage) {
  JsonReader reader(stage.entry, recipe.path.string(), stage.place);
  reader.ignore("kind");
  return read_near_duplicate_settings(reader);
}

std::string keys_of(const std::vector<Unit>& units, const std::vector<Unit>& earlier) {
  std::string text;
  for (const Unit& unit : units) text += unit.key.hex() + "\n";
  text += "earlier\n";
  for (const Unit& unit : earlier) text += unit.key.hex() + "\n";
  return text;
}

}  // namespace

std::optional<FingerprintSettings> fingerprint_settings(const Recipe& recipe) {
  if (recipe.global_stages.empty()) return std::nullopt;
  FingerprintSettings settings;
  settings.sketch = false;
  for (const StageSettings& stage : recipe.global_stages) {
    if (stage.kind == kExact) {
      const ExactDuplicateSettings exact = exact_settings(recipe, stage);
      if (exact.paragraphs) {
        settings.paragraphs = true;
        settings.minimum_paragraph_characters = exact.minimum_paragraph_characters;
      }
    } else {
      settings.sketch = true;
    }
  }
  return settings;
}

void check_global_stages(const Recipe& recipe) {
  for (const StageSettings& stage : recipe.global_stages) {
    if (stage.kind == kExact)
      exact_settings(recipe, stage);
    else
      near_settings(recipe, stage);
    for (const StageSettings& other : recipe.global_stages)
      if (other.kind == stage.kind && other.place != stage.place)
        fail("{}: {} and {} are both {}; one is enough", recipe.path.string(), other.place,
             stage.place, stage.kind);
  }
}

fs::path fingerprints_of(const WorkFolder& work, const Unit& unit,
                         const FingerprintSettings& settings) {
  return work.of_unit(
      unit, fmt::format("fingerprints{}{}", settings.sketch ? "-sketch" : "",
                        settings.paragraphs
                            ? fmt::format("-paragraphs{}", settings.minimum_paragraph_characters)
                            : ""));
}

Hash128 global_key(const Recipe& recipe, const std::vector<Unit>& units,
                   const std::vector<Unit>& earlier) {
  std::string text = keys_of(units, earlier);
  for (const StageSettings& stage : recipe.global_stages) text += stage.entry.dump() + "\n";
  return hash128(text);
}

std::vector<GlobalStep> run_global_stages(const Recipe& recipe, const std::vector<Unit>& units,
                                          const std::vector<Unit>& earlier, const WorkFolder& work,
                                          Communicator& communicator, bool show_progress) {
  std::vector<GlobalStep> steps;
  const auto fingerprints = fingerprint_settings(recipe);
  if (!fingerprints) return steps;
  std::vector<DedupUnit> dedup_units;
  for (const auto* list : {&units, &earlier})
    for (const Unit& unit : *list)
      dedup_units.push_back({work.of_unit(unit, "documents"),
                             fingerprints_of(work, unit, *fingerprints), list == &earlier});
  std::vector<std::vector<fs::path>> dropped(dedup_units.size());
  std::string history = keys_of(units, earlier);

  const auto run = [&](const std::string& kind, auto&& find) {
    DedupContext context{communicator, thread_count(recipe.run.threads), recipe.run.memory_limit,
                         work.of_step(kind, hash128(history + kind)), show_progress};
    run_together(communicator, [&] { create_folders(context.work_folder); });
    GlobalStep step;
    step.kind = kind;
    step.folder = context.work_folder;
    run_together(communicator, [&] { step.decisions = find(context); });
    steps.push_back(std::move(step));
  };
  for (const StageSettings& stage : recipe.global_stages) {
    history += stage.entry.dump() + "\n";
    if (stage.kind == kExact) {
      run(stage.kind,
          [&](const DedupContext& context) { return find_exact_duplicates(dedup_units, context); });
    } else {
      run(stage.kind, [&](const DedupContext& context) {
        return find_near_duplicates(dedup_units, dropped, near_settings(recipe, stage), context);
      });
    }
    for (std::size_t k = 0; k < dropped.size(); ++k)
      dropped[k].push_back(steps.back().decisions[k]);
    if (stage.kind == kExact && exact_settings(recipe, stage).paragraphs) {
      run("exact_duplicates.paragraphs", [&](const DedupContext& context) {
        return find_duplicate_paragraphs(dedup_units, dropped, context);
      });
    }
  }
  return steps;
}

UnitDecisions::UnitDecisions(const std::vector<GlobalStep>& steps, std::size_t unit) {
  for (std::size_t k = 0; k < steps.size(); ++k) {
    const auto decisions = read_duplicate_decisions(steps[k].decisions[unit]);
    if (steps[k].paragraphs()) {
      paragraphs_ = decisions;
      continue;
    }
    for (const DuplicateDecision& decision : decisions) drops_.push_back({k, decision});
  }
  std::stable_sort(drops_.begin(), drops_.end(),
                   [](const DuplicateDrop& a, const DuplicateDrop& b) {
                     return a.decision.document < b.decision.document;
                   });
}

const DuplicateDrop* UnitDecisions::drop_of(std::uint64_t index) const {
  const auto at = std::lower_bound(drops_.begin(), drops_.end(), index,
                                   [](const DuplicateDrop& drop, std::uint64_t document) {
                                     return drop.decision.document < document;
                                   });
  return at != drops_.end() && at->decision.document == index ? &*at : nullptr;
}

std::vector<std::uint32_t> UnitDecisions::cut_paragraphs_of(std::uint64_t index) const {
  std::vector<std::uint32_t> numbers;
  for (auto at = std::lower_bound(paragraphs_.begin(), paragraphs_.end(), index,
                                  [](const DuplicateDecision&decision, std::uint64_t document) {
                                    return decision.document < document;
                                  });
       at != paragraphs_.end() && at->document == index; ++at)
    numbers.push_back(at->paragraph);
  return numbers;
}

KeptDocuments::KeptDocuments(const fs::path& documents, const UnitDecisions& decisions)
    : file_(documents), decisions_(decisions) {}

std::optional<Document> KeptDocuments::next() {
  while (std::optional<Document> document = file_.next()) {
    index_ = next_++;
    if (const DuplicateDrop* drop = decisions_.drop_of(index_)) {
      if (on_dropped) on_dropped(*document, drop);
      continue;
    }
    if (const auto numbers = decisions_.cut_paragraphs_of(index_); !numbers.empty()) {
      Document whole;
      if (on_dropped || on_cut) whole = *document;
      cut_paragraphs(*document, numbers);
      if (trim(document->text).empty()) {
        if (on_dropped) on_dropped(whole, nullptr);
        continue;
      }
      if (on_cut) on_cut(whole, *document);
    }
    return document;
  }
  return std::nullopt;
}

}  // namespace tigerbot::data
