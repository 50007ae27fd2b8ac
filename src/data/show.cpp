#include "data/show.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/text.h"
#include "data/document_file.h"
#include "data/pipeline/rows.h"
#include "data/pipeline/run_plan.h"
#include "data/pipeline/unit_phase.h"
#include "data/statistics.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

Json describe(const Document& document) {
  return {{"id", document_id(document.origin)}, {"source", document.origin.source},
          {"file", document.origin.file},       {"offset", document.origin.offset},
          {"row", document.origin.row},         {"language", document.language},
          {"scores", document.scores},          {"edits", document.edits},
          {"metadata", document.metadata},      {"text", document.text}};
}

class Show {
 public:
  Show(const fs::path& output, const ShowFilter& filter,
       const std::function<void(const Json&)>& show)
      : work_(output),
        filter_(filter),
        show_(show),
        plan_(read_run_plan(work_)),
        draws_(plan_.seed, plan_.validation) {
    if (!filter.source.empty() && std::find(plan_.source_names.begin(), plan_.source_names.end(),
                                            filter.source) == plan_.source_names.end())
      fail("{}: there is no source {}{}", output.string(), quote(filter.source),
           did_you_mean(filter.source, plan_.source_names));
  }

  std::uint64_t run() {
    for (std::size_t u = 0; u < plan_.own_units && !full(); ++u) {
      if (!filter_.source.empty() && plan_.source_names[plan_.units[u].source] != filter_.source)
        continue;
      if (!filter_.kept) show_dropped(u);
      show_left(u);
    }
    for (auto& item : sample_) show_(item.second);
    return seen_;
  }

 private:
  bool full() const { return !filter_.seed && shown_ >= filter_.limit; }

  /// Tells what a filter says before the costly part is put together.
  bool passes(const Document& document, const std::string& reason) const {
    if (!filter_.reason.empty() && !reason.starts_with(filter_.reason)) return false;
    if (!filter_.language.empty() &&
        (document.language.empty() ? "unknown" : document.language) != filter_.language)
      return false;
    return filter_.id.empty() || document_id(document.origin) == filter_.id;
  }

  /// Shows it, or keeps it if it is among the first of the random order.
  void offer(const Document& document, const std::function<Json()>& make) {
    if (full()) return;
    if (!filter_.seed) {
      ++shown_;
      show_(make());
      return;
    }
    const std::uint64_t order =
        random_uint64({*filter_.seed, 0x73686F77, document_key(document.origin)});
    if (sample_.size() >= filter_.limit) {
      if (sample_.empty() || order >= sample_.rbegin()->first) return;
      sample_.erase(std::prev(sample_.end()));
    }
    sample_.emplace(order, make());
  }

  void show_dropped(std::size_t unit) {
    DocumentFile file(work_.of_unit(plan_.units[unit], "dropped"));
    while (std::optional<Document> packed = file.next()) {
      if (full()) return;
      ++seen_;
      const DroppedDocument dropped = unpack_dropped(std::move(*packed));
      if (!passes(dropped.document, dropped.drop.reason)) continue;
      offer(dropped.document, [&] {
        Json json = describe(dropped.document);
        json.update({{"fate", "dropped"},
                     {"reason", dropped.drop.reason},
                     {"value", dropped.drop.value},
                     {"threshold", dropped.drop.threshold},
                     {"detail", dropped.drop.detail}});
        return json;
      });
    }
  }

  void show_left(std::size_t unit) {
    const UnitDecisions decisions(plan_.steps, unit);
    KeptDocuments documents(work_.of_unit(plan_.units[unit], "documents"), decisions);
    documents.on_dropped = [&](const Document& document, const DuplicateDrop* drop) {
      ++seen_;
      const std::string reason =
          drop != nullptr ? plan_.steps[drop->step].kind : "exact_duplicates.paragraph";
      if (filter_.kept || !passes(document, reason)) return;
      offer(document, [&] {
        Json json = describe(document);
        json.update({{"fate", "dropped"}, {"reason", reason}});
        if (drop != nullptr) {
          const Document kept =
              DocumentFile(work_.of_unit(plan_.units.at(drop->decision.kept_unit), "documents"))
                  .read(drop->decision.kept_document);
          json.update({{"value", drop->decision.similarity},
                       {"duplicate_of",
                        {{"id", document_id(kept.origin)},
                         {"source", kept.origin.source},
                         {"file", kept.origin.file},
                         {"text", kept.text}}}});
        }
        return json;
      });
    };
    const SourceBound& bound = plan_.bounds[plan_.units[unit].source];
    while (!full()) {
      const std::optional<Document> document = documents.next();
      if (!document) return;
      ++seen_;
      const std::uint64_t hash = text_hash(document->text);
      const bool validation = draws_.is_validation(hash);
      const std::uint32_t copies = bound.copies_of(draws_, hash, validation);
      const char* reason = copies == 0 ? "mixture" : "";
      if (filter_.dropped || (filter_.kept && copies == 0) || !passes(*document, reason)) continue;
      offer(*document, [&] {
        Json json = describe(*document);
        json["fate"] = copies == 0 ? "left_out" : validation ? "validation" : "train";
        json["copies"] = copies;
        if (copies == 0) json["reason"] = reason;
        return json;
      });
    }
  }

  const WorkFolder work_;
  const ShowFilter& filter_;
  const std::function<void(const Json&)>& show_;
  const RunPlan plan_;
  const Draws draws_;
  std::uint64_t seen_ = 0, shown_ = 0;
  std::multimap<std::uint64_t, Json> sample_;  ///< by random order
};

}  // namespace

std::uint64_t show_documents(const fs::path& output, const ShowFilter& filter,
                             const std::function<void(const Json&)>& show) {
  return Show(output, filter, show).run();
}

std::string describe_document(const Json& document, std::size_t text_bytes) {
  const auto text = [&](const char* key) { return document.value(key, std::string()); };
  std::string out = fmt::format("{}  {}  {}:{} (row {})\n", text("id"), text("source"),
                                text("file"), document.at("offset").get<std::uint64_t>(),
                                document.at("row").get<std::uint64_t>());
  const std::string fate = text("fate");
  out += "  ";
  if (fate == "dropped") {
    out += "dropped: " + text("reason");
    if (document.contains("value"))
      out += fmt::format(" (measured {:.4g}", document.at("value").get<double>());
    if (document.contains("threshold"))
      out += fmt::format(", threshold {:.4g}", document.at("threshold").get<double>());
    if (document.contains("value")) out += ")";
    if (const std::string detail = text("detail"); !detail.empty()) out += ": " + detail;
    if (document.contains("duplicate_of"))
      out += fmt::format(": duplicates {} of {}", document["duplicate_of"]["id"].get<std::string>(),
                         document["duplicate_of"]["source"].get<std::string>());
  } else if (fate == "left_out") {
    out += "left out: the mixture takes other documents of its source";
  } else {
    const auto copies = document.at("copies").get<std::uint64_t>();
    out += "kept: " + fate + (copies > 1 ? fmt::format(", {} copies", copies) : "");
  }
  out += "\n  language " + (text("language").empty() ? "unknown" : text("language"));
  for (const auto& score : document.at("scores").items())
    if (score.value().is_number())
      out += fmt::format(", {} {:.3g}", score.key(), score.value().get<double>());
  if (!document.at("edits").empty()) {
    out += "\n  edited by";
    for (const Json& edit : document.at("edits")) out += " " + edit.get<std::string>();
  }
  return out + "\n\n" + excerpt_of(text("text"), text_bytes) + "\n";
}

}  // namespace tigerbot::data
