#include "data/pipeline/shuffle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <regex>
#include <tuple>

#include "base/error.h"
#include "base/files.h"
#include "data/pipeline/rows.h"
#include "data/pipeline/shard_writer.h"
#include "data/pipeline/sorted_rows.h"
#include "data/tasks.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

/// Bins of the histogram of places, from which the shards' ranges are cut.
constexpr int kPlaceBits = 20;

void add_amounts(std::map<std::pair<std::string, std::string>, Amount>& sum,
                 const std::map<std::pair<std::string, std::string>, Amount>& more) {
  for (const auto& item : more) sum[item.first] += item.second;
}

Json amounts_to_json(const std::map<std::pair<std::string, std::string>, Amount>& amounts) {
  Json json = Json::array();
  for (const auto& item : amounts) {
    Json row = to_json(item.second);
    row["source"] = item.first.first;
    row["language"] = item.first.second;
    json.push_back(std::move(row));
  }
  return json;
}

/// Cuts the bins into ranges of nearly equal sums, as many as `shard_bytes` asks for.
std::vector<ShardRange> cut(Split split, const std::vector<std::uint64_t>& sums,
                            const OutputSettings& settings) {
  std::uint64_t total = 0;
  for (const std::uint64_t sum : sums) total += sum;
  if (total == 0) return {};
  const std::uint64_t count = (total - 1) / settings.shard_bytes + 1;
  std::vector<ShardRange> ranges;
  ShardRange range;
  range.split = split;
  std::uint64_t before = 0;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    before += sums[k];
    // The range ends with the first bin that reaches its part of the total.
    const bool last = k + 1 == sums.size();
    const double goal = static_cast<double>(total) * static_cast<double>(ranges.size() + 1) /
                        static_cast<double>(count);
    if (!last && (static_cast<double>(before) < goal || ranges.size() + 1 == count)) continue;
    range.end = last ? std::numeric_limits<std::uint64_t>::max()
                     : ((std::uint64_t{k} + 1) << (64 - kPlaceBits)) - 1;
    range.name = fmt::format("{}-{:05}.jsonl{}", split_name(split), ranges.size(),
                             settings.compress ? ".zst" : "");
    ranges.push_back(range);
    range.begin = range.end + 1;
  }
  return ranges;
}

}  // namespace

std::string_view split_name(Split split) { return split == Split::kTrain ? "train" : "validation"; }

bool is_shard_name(const std::string& name) {
  static const std::regex kName(R"((train|validation)-\d{5,}\.jsonl(\.zst)?)");
  return std::regex_match(name, kName);
}

void OutputAmounts::add(const OutputAmounts& other) {
  add_amounts(train, other.train);
  add_amounts(validation, other.validation);
}

Json OutputAmounts::to_json() const {
  return {{"train", amounts_to_json(train)}, {"validation", amounts_to_json(validation)}};
}

OutputAmounts OutputAmounts::from_json(const Json& json) {
  OutputAmounts amounts;
  for (const char* split : {"train", "validation"})
    for (const Json& row : json.at(split))
      (split == std::string_view("train") ? amounts.train : amounts.validation)[{
          row.at("source").get<std::string>(), row.at("language").get<std::string>()}] +=
          amount_from_json(row);
  return amounts;
}

Shuffle::Shuffle(const Recipe& recipe, const std::vector<Unit>& units,
                 const std::vector<GlobalStep>& steps, const WorkFolder& work,
                 const SampleIndex& index, std::vector<SourceBound> bounds, fs::path folder)
    : recipe_(recipe),
      units_(units),
      steps_(steps),
      work_(work),
      index_(index),
      bounds_(std::move(bounds)),
      folder_(std::move(folder)) {}

fs::path Shuffle::rows_of(std::size_t unit, std::string_view what) const {
  return folder_ / "rows" / fmt::format("{}.{}", units_[unit].key.hex(), what);
}

fs::path Shuffle::shard_path(std::size_t shard) const { return folder_ / shards_[shard].name; }

RowContext Shuffle::context_of(std::size_t unit) const {
  const SourceSettings& source = recipe_.sources[units_[unit].source];
  return {source.kind, source.licence, names_of_stages(recipe_)};
}

void Shuffle::plan(Communicator& communicator) {
  constexpr std::size_t kBins = std::size_t{1} << kPlaceBits;
  std::vector<std::uint64_t> sums(2 * kBins, 0);
  const Draws& draws = index_.draws();
  run_together(communicator, [&] {
    for (auto u = static_cast<std::size_t>(communicator.rank()); u < units_.size();
         u += static_cast<std::size_t>(communicator.size())) {
      const SourceBound& bound = bounds_[units_[u].source];
      for (const IndexEntry& entry : index_.read(u)) {
        const bool validation = draws.is_validation(entry.hash);
        const std::uint32_t copies = bound.copies_of(draws, entry.hash, validation);
        for (std::uint32_t copy = 0; copy < copies; ++copy)
          sums[(validation ? kBins : 0) +
               (draws.position(entry.hash, copy) >> (64 - kPlaceBits))] += entry.row_bytes;
      }
    }
  });
  communicator.all_reduce_sum(sums);
  shards_.clear();
  for (const Split split : {Split::kTrain, Split::kValidation}) {
    const auto begin = sums.begin() + (split == Split::kTrain ? 0 : kBins);
    const auto ranges =
        cut(split, std::vector<std::uint64_t>(begin, begin + kBins), recipe_.output);
    shards_.insert(shards_.end(), ranges.begin(), ranges.end());
  }
}

bool Shuffle::unit_done(std::size_t unit) const {
  return fs::exists(rows_of(unit, "json")) && fs::exists(rows_of(unit, "rows"));
}

OutputAmounts Shuffle::amounts(std::size_t unit) const {
  return OutputAmounts::from_json(read_json_file(rows_of(unit, "json")));
}

void Shuffle::scatter(std::size_t unit, std::uint64_t memory,
                      const std::function<void(std::uint64_t)>& advance) const {
  const Draws& draws = index_.draws();
  const SourceBound& bound = bounds_[units_[unit].source];
  const RowContext context = context_of(unit);
  const UnitDecisions decisions(steps_, unit);
  KeptDocuments documents(work_.of_unit(units_[unit], "documents"), decisions);
  SortedRowsWriter writer(rows_of(unit, "rows"), shards_, memory);
  OutputAmounts amounts;
  const std::vector<IndexEntry> entries = index_.read(unit);
  std::size_t at = 0;
  std::string line;
  while (const std::optional<Document> document = documents.next()) {
    const IndexEntry& entry = entries.at(at++);
    const bool validation = draws.is_validation(entry.hash);
    const std::uint32_t copies = bound.copies_of(draws, entry.hash, validation);
    for (std::uint32_t copy = 0; copy < copies; ++copy) {
      line.clear();
      append_row(*document, context, copy, line);
      writer.add(validation ? Split::kValidation : Split::kTrain,
                 {draws.position(entry.hash, copy), entry.document, copy}, line);
      (validation ? amounts.validation
                  : amounts.train)[{document->origin.source, document->language}] +=
          Amount{1, entry.bytes, count_characters(document->text), entry.tokens};
    }
    advance(1);
  }
  writer.commit();
  write_file(rows_of(unit, "json"), amounts.to_json().dump() + "\n");
}

bool Shuffle::shard_done(std::size_t shard) const {
  const std::string name = shards_[shard].name;
  const fs::path summary_path = folder_ / (name + ".json");
  std::error_code ignored;
  if (!fs::exists(summary_path, ignored)) return false;
  const std::uint64_t size = summary(shard).file_bytes;
  for (const fs::path& path : {shard_path(shard), work_.output() / name})
    if (fs::is_regular_file(path, ignored) && fs::file_size(path, ignored) == size) return true;
  return false;
}

void Shuffle::gather(std::size_t shard, const std::function<void(std::uint64_t)>& advance) const {
  const ShardRange& range = shards_[shard];
  std::string bytes;
  std::vector<GatheredRow> rows;
  for (std::size_t u = 0; u < units_.size(); ++u)
    gather_rows(rows_of(u, "rows"), shard, static_cast<std::uint32_t>(u), bytes, rows);
  std::sort(rows.begin(), rows.end());
  ShardWriter writer(shard_path(shard), recipe_.output);
  for (const GatheredRow& row : rows) {
    writer.write(std::string_view(bytes).substr(row.offset, row.length));
    advance(row.length);
  }
  ShardSummary summary = writer.finish();
  summary.name = range.name;
  summary.documents = rows.size();
  // The summary first: a shard without one is made again, a summary without a shard too.
  write_file(folder_ / (range.name + ".json"), Json{{"name", summary.name},
                                                    {"documents", summary.documents},
                                                    {"raw_bytes", summary.raw_bytes},
                                                    {"file_bytes", summary.file_bytes},
                                                    {"sha256", summary.sha256}}
                                                       .dump() +
                                                   "\n");
  writer.commit();
}

ShardSummary Shuffle::summary(std::size_t shard) const {
  const Json json = read_json_file(folder_ / (shards_[shard].name + ".json"));
  return {json.at("name").get<std::string>(), json.at("documents").get<std::uint64_t>(),
          json.at("raw_bytes").get<std::uint64_t>(), json.at("file_bytes").get<std::uint64_t>(),
          json.at("sha256").get<std::string>()};
}

void Shuffle::publish() const {
  std::error_code error;
  const fs::path& output = work_.output();
  // A shard of this run may be there already, from a publication that was cut off: it stays.
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(output, error)) {
    const std::string name = entry.path().filename().string();
    if (!is_shard_name(name)) continue;
    bool ours = false;
    for (std::size_t k = 0; k < shards_.size(); ++k)
      ours = ours || (shards_[k].name == name && !fs::exists(shard_path(k)));
    if (!ours) old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove(path, error);
  for (std::size_t k = 0; k < shards_.size(); ++k) {
    if (!fs::exists(shard_path(k))) continue;
    fs::rename(shard_path(k), output / shards_[k].name, error);
    if (error)
      fail("{}: cannot be written: {}", (output / shards_[k].name).string(), error.message());
  }
}

void Shuffle::remove_rows() const {
  std::error_code ignored;
  for (std::size_t u = 0; u < units_.size(); ++u) fs::remove(rows_of(u, "rows"), ignored);
}

}  // namespace tigerbot::data
