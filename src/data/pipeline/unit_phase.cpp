#include "data/pipeline/unit_phase.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/pipeline/rows.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

/// Of every so many documents one keeps its text from before the stages, to show edits.
constexpr std::uint64_t kEditSample = 16;

/// Seconds of the steps of one document, each measured once, from the end of the one before.
class StepTimer {
 public:
  explicit StepTimer(std::vector<double>& seconds) : seconds_(seconds) {}
  void start() { last_ = Clock::now(); }
  void stop(std::size_t step) {
    const auto now = Clock::now();
    seconds_[step] += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

 private:
  std::vector<double>& seconds_;
  Clock::time_point last_ = Clock::now();
};

/// Two texts from a little before the first place where they differ.
void show_difference(const std::string& before, const std::string& after, Example& example) {
  const auto ends = std::mismatch(before.begin(), before.end(), after.begin(), after.end());
  auto at = static_cast<std::size_t>(ends.first - before.begin());
  at = at > 80 ? at - 80 : 0;
  while (at > 0 && (static_cast<unsigned char>(before[at]) & 0xC0) == 0x80) --at;
  const std::string mark = at > 0 ? "…" : "";
  example.other = mark + excerpt_of(std::string_view(before).substr(at), 500);
  example.excerpt =
      mark + excerpt_of(std::string_view(after).substr(std::min(at, after.size())), 500);
}

Example example_of(const Document& document, std::uint64_t key) {
  Example example;
  example.order = key * 0x9E3779B97F4A7C15ull;
  example.id = fmt::format("{:016x}", key);
  example.source = document.origin.source;
  example.language = document.language;
  return example;
}

/// What happens to one unit, from its first document to its last.
class UnitRun {
 public:
  UnitRun(const SourceSettings& source, const DocumentStages& stages, const fs::path& documents,
          const fs::path& dropped)
      : source_(source), stages_(stages), documents_(documents), dropped_(dropped) {
    statistics.entered.resize(stages.size() + 1);
    statistics.seconds.assign(stages.size() + 1, 0);
  }

  /// Takes a document as the reader gave it; nothing if a stage dropped it.
  std::optional<Document> process(Document document, StepTimer& timer) {
    if (!source_.language.empty()) document.language = source_.language;
    const std::uint64_t key = document_key(document.origin);
    std::string before;
    if (key % kEditSample == 0) before = document.text;
    passed_.clear();
    for (std::size_t k = 0; k < stages_.size(); ++k) {
      passed_.push_back(amount_of(document));
      std::optional<Drop> drop = stages_[k]->apply(document);
      timer.stop(k + 1);
      if (!drop) continue;
      count(document);
      drop_document(std::move(document), key, std::string(stages_[k]->name()), std::move(*drop));
      return std::nullopt;
    }
    passed_.push_back(amount_of(document));
    count(document);
    keep(document, key, before);
    return document;
  }

  void commit() {
    documents_.commit();
    dropped_.commit();
  }

  Statistics statistics;

 private:
  static Amount amount_of(const Document& document) {
    return {1, document.text.size(), count_characters(document.text), 0};
  }

  /// The document entered as many stages as there are amounts; its language is what is known now.
  void count(const Document& document) {
    for (std::size_t k = 0; k < passed_.size(); ++k)
      statistics.entered[k][document.language] += passed_[k];
    for (const std::string& edit : document.edits) ++statistics.edits[edit];
  }

  void keep(const Document& document, std::uint64_t key, const std::string& before) {
    ++statistics.kept_lengths[length_bin(passed_.back().characters)];
    for (const auto& item : document.scores)
      ++statistics.scores[item.first][score_bin(item.second)];
    Example example = example_of(document, key);
    if (statistics.kept.wants(document.language, example.order)) {
      example.excerpt = excerpt_of(document.text);
      statistics.kept.add(document.language, example);
    }
    if (!before.empty() && before != document.text) {
      for (const std::string& edit : document.edits) {
        if (!statistics.edited.wants(edit, example.order)) continue;
        show_difference(before, document.text, example);
        statistics.edited.add(edit, example);
      }
    }
    documents_.append(document);
  }

  void drop_document(Document document, std::uint64_t key, std::string stage, Drop drop) {
    statistics.drops[drop.reason] += passed_.back();
    ++statistics.dropped_lengths[length_bin(passed_.back().characters)];
    Example example = example_of(document, key);
    if (statistics.dropped.wants(drop.reason, example.order)) {
      example.excerpt = excerpt_of(document.text);
      example.value = drop.value;
      example.threshold = drop.threshold;
      example.detail = drop.detail;
      statistics.dropped.add(drop.reason, std::move(example));
    }
    dropped_.append(pack_dropped({std::move(document), std::move(stage), std::move(drop)}));
  }

  const SourceSettings& source_;
  const DocumentStages& stages_;
  DocumentFileWriter documents_, dropped_;
  std::vector<Amount> passed_;  ///< of the document at hand, as it entered each stage
};

}  // namespace

Document pack_dropped(DroppedDocument dropped) {
  Document document = std::move(dropped.document);
  document.metadata = {{"metadata", std::move(document.metadata)},
                       {"stage", dropped.stage},
                       {"reason", dropped.drop.reason},
                       {"value", dropped.drop.value},
                       {"threshold", dropped.drop.threshold},
                       {"detail", dropped.drop.detail}};
  return document;
}

DroppedDocument unpack_dropped(Document document) {
  DroppedDocument dropped;
  Json drop = std::move(document.metadata);
  dropped.stage = drop.at("stage").get<std::string>();
  dropped.drop.reason = drop.at("reason").get<std::string>();
  dropped.drop.value = drop.at("value").get<double>();
  dropped.drop.threshold = drop.at("threshold").get<double>();
  dropped.drop.detail = drop.at("detail").get<std::string>();
  document.metadata = std::move(drop.at("metadata"));
  dropped.document = std::move(document);
  return dropped;
}

UnitPhase::UnitPhase(const Recipe& recipe, const WorkFolder& work)
    : recipe_(recipe),
      work_(work),
      stages_(recipe.stages ? recipe.stages : std::make_shared<const DocumentStages>()) {}

std::vector<std::string> UnitPhase::stage_names() const {
  std::vector<std::string> names;
  for (const auto& stage : *stages_) names.emplace_back(stage->name());
  return names;
}

bool UnitPhase::done(const Unit& unit) const { return fs::exists(work_.of_unit(unit, "json")); }

Statistics UnitPhase::statistics(const Unit& unit) const {
  return Statistics::from_json(read_json_file(work_.of_unit(unit, "json")));
}

void UnitPhase::count_bad_input(const BadInput& bad) {
  const std::uint64_t count = ++bad_inputs_;
  if (recipe_.run.bad_row_limit && count > *recipe_.run.bad_row_limit)
    fail("{}: row {}: {}: more than {} bad rows or files (run.bad_row_limit)", bad.file, bad.row,
         bad.what, *recipe_.run.bad_row_limit);
}

void UnitPhase::run(const Unit& unit, const std::function<void(std::uint64_t)>& advance) {
  const SourceSettings& source = recipe_.sources[unit.source];
  UnitRun state(source, *stages_, work_.of_unit(unit, "documents"), work_.of_unit(unit, "dropped"));
  const auto listener = make_listener ? make_listener(unit) : nullptr;
  StepTimer timer(state.statistics.seconds);
  for (const Piece& piece : unit.pieces) {
    ReaderOptions options = reader_options(source, piece);
    options.on_bad_input = [&](const BadInput& bad) {
      ++state.statistics.bad_inputs;
      if (state.statistics.first_bad_inputs.size() < Statistics::kBadInputsShown)
        state.statistics.first_bad_inputs.push_back(bad);
      count_bad_input(bad);
    };
    const auto reader = open_reader(piece.file, options);
    std::uint64_t told = 0;
    timer.start();
    while (std::optional<Document> document = reader->next()) {
      timer.stop(0);
      if (const auto kept = state.process(std::move(*document), timer); kept && listener)
        listener->add(*kept);
      // Readers read ahead, also past the end of their range.
      const std::uint64_t consumed = std::min(reader->consumed(), piece.bytes());
      if (consumed > told + (256 << 10)) {
        advance(consumed - told);
        told = consumed;
      }
      timer.start();
    }
    timer.stop(0);
    advance(piece.bytes() - std::min(told, piece.bytes()));
  }
  state.statistics.input_bytes = unit.bytes();
  state.commit();
  if (listener) listener->commit();
  // Last: where this file is, the others are.
  write_file(work_.of_unit(unit, "json"), state.statistics.to_json().dump() + "\n");
}

}  // namespace tigerbot::data
