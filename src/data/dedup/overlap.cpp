#include "data/dedup/overlap.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/logging.h"
#include "base/text.h"
#include "base/utf8.h"
#include "data/dedup/overlap_index.h"
#include "data/reader.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

/// Hits that a document's metadata names; more are counted in the score alone.
constexpr std::size_t kListed = 20;
/// Bytes of the n-gram that are shown.
constexpr std::size_t kShown = 120;

/// Calls visit(text) for every string in a row, however deep, or for those of `fields` alone.
void for_each_text(const Json& value, const std::vector<std::string>& fields, bool wanted,
                   const std::function<void(const std::string&)>& visit) {
  if (value.is_string()) {
    if (wanted) visit(value.get_ref<const std::string&>());
  } else if (value.is_object()) {
    for (const auto& [key, inner] : value.items())
      for_each_text(inner, fields,
                    wanted || std::find(fields.begin(), fields.end(), key) != fields.end(), visit);
  } else if (value.is_array()) {
    for (const Json& inner : value) for_each_text(inner, fields, wanted, visit);
  }
}

JsonOptions lenient_json() {
  JsonOptions lenient;
  lenient.reject_duplicate_keys = false;
  return lenient;
}

/// A row of JSON lines. What is wrong with it is said with the file's line: the parser knows only
/// the row, whose every place is in line 1.
Json parse_row(std::string_view text, const fs::path& path, std::size_t line) {
  const std::string place = fmt::format("{}:{}", path.string(), line);
  try {
    return parse_json(text, place, lenient_json());
  } catch (const Error& error) {
    std::string message = error.what();
    const std::string doubled = place + ":1:";
    if (message.starts_with(doubled)) message.replace(0, doubled.size(), place + ":");
    throw Error(message, error.kind());
  }
}

/// Protected files: JSON lines, JSON (an array of rows, or an object with one under "data"), or any
/// other text, a line a row.
class SetReader {
 public:
  SetReader(OverlapIndex& index, std::vector<std::string> fields)
      : index_(index), fields_(std::move(fields)) {}

  void read(const fs::path& path, std::uint32_t set) {
    const std::string bytes = read_file(path, 16ull << 30);
    const std::string text = is_valid_utf8(bytes) ? bytes : replace_invalid_utf8(bytes);
    const std::string extension = path.extension().string();
    if (extension == ".json") {
      const Json json = parse_json(text, path.string(), lenient_json());
      const Json& rows = json.is_object() && json.contains("data") ? json["data"] : json;
      if (!rows.is_array()) {
        row(rows, set, 0);
      } else {
        for (std::size_t k = 0; k < rows.size(); ++k)
          row(rows[k], set, static_cast<std::uint32_t>(k));
      }
      return;
    }
    std::uint32_t number = 0;
    for (const std::string_view line : split(text, '\n')) {
      if (!trim(line).empty()) {
        if (extension == ".jsonl") {
          row(parse_row(line, path, number + 1), set, number);
        } else {
          take(line, set, number);
        }
      }
      ++number;
    }
  }

  std::size_t rows() const { return rows_; }
  std::size_t short_rows() const { return short_rows_; }

 private:
  void row(const Json& value, std::uint32_t set, std::uint32_t number) {
    bool long_enough = false;
    for_each_text(value, fields_, fields_.empty(), [&](const std::string& text) {
      long_enough = index_.add(text, set, number) || long_enough;
    });
    ++rows_;
    if (!long_enough) ++short_rows_;
  }
  void take(std::string_view text, std::uint32_t set, std::uint32_t number) {
    ++rows_;
    if (!index_.add(text, set, number)) ++short_rows_;
  }

  OverlapIndex& index_;
  std::vector<std::string> fields_;
  std::size_t rows_ = 0, short_rows_ = 0;
};

constexpr std::array<std::string_view, 10> kSentenceEnds{"\n", ".",  "!",  "?",  ";",
                                                         ":",  "。", "！", "？", "；"};

bool ends_sentence(std::string_view text, std::size_t at) {
  return std::any_of(kSentenceEnds.begin(), kSentenceEnds.end(),
                     [&](std::string_view mark) { return text.substr(at).starts_with(mark); });
}

bool after_sentence(std::string_view text, std::size_t at) {
  return std::any_of(kSentenceEnds.begin(), kSentenceEnds.end(),
                     [&](std::string_view mark) { return text.substr(0, at).ends_with(mark); });
}

class OverlapStage : public DocumentStage {
 public:
  explicit OverlapStage(JsonReader& reader) : index_({}) {
    const auto sets = reader.get<std::vector<std::string>>("sets");
    if (sets.empty()) fail("{} names no file: give the sets to be protected", reader.place("sets"));
    OverlapLength length;
    length.words = reader.get<int>("words", length.words);
    length.characters = reader.get<int>("characters", length.characters);
    if (length.words < 4) fail("{} must be at least 4", reader.place("words"));
    if (length.characters < 8) fail("{} must be at least 8", reader.place("characters"));
    if (length.words > 1000 || length.characters > 1000)
      fail("{} must be at most 1000", reader.place(length.words > 1000 ? "words" : "characters"));
    const auto mode = reader.get<std::string>("mode", "drop");
    const std::vector<std::string> modes{"drop", "cut"};
    if (std::find(modes.begin(), modes.end(), mode) == modes.end())
      fail("{} must be \"drop\" or \"cut\", not {}{}", reader.place("mode"), quote(mode),
           did_you_mean(mode, modes));
    cut_ = mode == "cut";
    minimum_left_ = reader.get<double>("minimum_left", minimum_left_);
    if (!(minimum_left_ >= 0 && minimum_left_ <= 1))
      fail("{} must be from 0 to 1", reader.place("minimum_left"));
    const int common_rows = reader.get<int>("common_rows", 10);
    if (common_rows < 1) fail("{} must be at least 1", reader.place("common_rows"));

    index_ = OverlapIndex(length);
    SetReader set_reader(index_, reader.get<std::vector<std::string>>("fields", {}));
    for (const fs::path& file : find_inputs(sets)) {
      set_reader.read(file, static_cast<std::uint32_t>(names_.size()));
      names_.push_back(file.filename().string());
    }
    index_.finish(common_rows);
    log_info("overlap: {} n-grams of {} rows in {} files; {} rows are too short to have one",
             index_.size(), set_reader.rows(), names_.size(), set_reader.short_rows());
  }

  std::string_view name() const override { return "overlap"; }

  std::optional<Drop> apply(Document& document) const override {
    const std::vector<OverlapIndex::Hit> hits = index_.find(document.text);
    if (hits.empty()) return std::nullopt;
    std::size_t covered = 0;
    for (const OverlapIndex::Hit& hit : hits) covered += hit.end - hit.begin;
    const double share = static_cast<double>(covered) / static_cast<double>(document.text.size());
    document.scores["overlap"] = share;
    list(document, hits);
    const std::string first = describe(document.text, hits[0]);
    if (!cut_) return Drop{"overlap.ngram", share, 0, first};
    std::string left = without(document.text, hits);
    const double left_share =
        static_cast<double>(left.size()) / static_cast<double>(document.text.size());
    if (left_share < minimum_left_)
      return Drop{"overlap.little_left", left_share, minimum_left_, first};
    document.text = std::move(left);
    document.edits.emplace_back("overlap.cut");
    return std::nullopt;
  }

 private:
  std::string_view shown(std::string_view text, const OverlapIndex::Hit& hit) const {
    const std::string_view ngram = text.substr(hit.begin, hit.end - hit.begin);
    return ngram.substr(0, complete_utf8_prefix(ngram.substr(0, kShown)));
  }
  std::string describe(std::string_view text, const OverlapIndex::Hit& hit) const {
    return fmt::format("{} row {}: {}", names_[hit.set], hit.row, shown(text, hit));
  }

  /// The hits in the document's metadata, where the report and the output find them.
  void list(Document& document, const std::vector<OverlapIndex::Hit>& hits) const {
    Json listed = Json::array();
    for (std::size_t k = 0; k < std::min(hits.size(), kListed); ++k)
      listed.push_back({{"set", names_[hits[k].set]},
                        {"row", hits[k].row},
                        {"ngram", shown(document.text, hits[k])}});
    if (document.metadata.is_null()) document.metadata = Json::object();
    document.metadata["overlap"] = std::move(listed);
  }

  /// The text without the sentences that the hits touch.
  static std::string without(std::string_view text, const std::vector<OverlapIndex::Hit>& hits) {
    std::string left;
    std::size_t kept_to = 0;
    for (const OverlapIndex::Hit& hit : hits) {
      std::size_t begin = hit.begin, end = hit.end;
      while (begin > kept_to && !after_sentence(text, begin)) --begin;
      while (end < text.size() && !ends_sentence(text, end)) ++end;
      // Past the mark itself, but for a line end.
      if (end < text.size() && text[end] != '\n') end += decode_utf8(text, end).length;
      if (begin > kept_to) left += text.substr(kept_to, begin - kept_to);
      kept_to = std::max(kept_to, end);
    }
    left += text.substr(kept_to);
    return left;
  }

  OverlapIndex index_;
  std::vector<std::string> names_;  // of the sets' files
  bool cut_ = false;
  double minimum_left_ = 0.5;
};

}  // namespace

std::unique_ptr<DocumentStage> make_overlap_stage(JsonReader& reader) {
  return std::make_unique<OverlapStage>(reader);
}

}  // namespace tigerbot::data
