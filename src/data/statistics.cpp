#include "data/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/utf8.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kExamples = 4;

Json amounts_to_json(const std::map<std::string, Amount>& amounts) {
  Json json = Json::object();
  for (const auto& item : amounts) json[item.first] = to_json(item.second);
  return json;
}

std::map<std::string, Amount> amounts_from(const Json& json) {
  std::map<std::string, Amount> amounts;
  for (const auto& item : json.items()) amounts[item.key()] = amount_from_json(item.value());
  return amounts;
}

Json histogram_to_json(const Histogram& histogram) {
  Json json = Json::object();
  for (const auto& item : histogram) json[std::to_string(item.first)] = item.second;
  return json;
}

Histogram histogram_from(const Json& json) {
  Histogram histogram;
  for (const auto& item : json.items())
    histogram[std::stoi(item.key())] = item.value().get<std::uint64_t>();
  return histogram;
}

void add(std::map<std::string, Amount>& sum, const std::map<std::string, Amount>& more) {
  for (const auto& item : more) sum[item.first] += item.second;
}

void add(Histogram& sum, const Histogram& more) {
  for (const auto& item : more) sum[item.first] += item.second;
}

}  // namespace

Amount& Amount::operator+=(const Amount& other) {
  documents += other.documents;
  bytes += other.bytes;
  characters += other.characters;
  tokens += other.tokens;
  return *this;
}

Json to_json(const Amount& amount) {
  Json json{
      {"documents", amount.documents}, {"bytes", amount.bytes}, {"characters", amount.characters}};
  if (amount.tokens > 0) json["tokens"] = amount.tokens;
  return json;
}

Amount amount_from_json(const Json& json) {
  return {json.at("documents").get<std::uint64_t>(), json.at("bytes").get<std::uint64_t>(),
          json.at("characters").get<std::uint64_t>(), json.value("tokens", std::uint64_t{0})};
}

Json to_json(const BadInput& bad) {
  return {{"file", bad.file}, {"row", bad.row}, {"offset", bad.offset}, {"what", bad.what}};
}

bool Examples::wants(const std::string& reason, std::uint64_t order) const {
  const auto at = by_reason_.find(reason);
  return at == by_reason_.end() || at->second.size() < kExamples || order < at->second.back().order;
}

void Examples::add(const std::string& reason, Example example) {
  std::vector<Example>& examples = by_reason_[reason];
  const auto before = [](const Example& a, const Example& b) {
    return std::tie(a.order, a.id) < std::tie(b.order, b.id);
  };
  examples.insert(std::upper_bound(examples.begin(), examples.end(), example, before),
                  std::move(example));
  if (examples.size() > kExamples) examples.pop_back();
}

void Examples::add(const Examples& other) {
  for (const auto& item : other.by_reason_)
    for (const Example& example : item.second) add(item.first, example);
}

Json Examples::to_json() const {
  Json json = Json::object();
  for (const auto& item : by_reason_) {
    Json& list = json[item.first] = Json::array();
    for (const Example& example : item.second)
      list.push_back({{"order", example.order},
                      {"id", example.id},
                      {"source", example.source},
                      {"language", example.language},
                      {"excerpt", example.excerpt},
                      {"other_id", example.other_id},
                      {"other", example.other},
                      {"value", example.value},
                      {"threshold", example.threshold},
                      {"detail", example.detail}});
  }
  return json;
}

Examples Examples::from_json(const Json& json) {
  Examples examples;
  for (const auto& item : json.items()) {
    for (const Json& from : item.value()) {
      Example example;
      example.order = from.at("order").get<std::uint64_t>();
      example.id = from.at("id").get<std::string>();
      example.source = from.at("source").get<std::string>();
      example.language = from.at("language").get<std::string>();
      example.excerpt = from.at("excerpt").get<std::string>();
      example.other_id = from.at("other_id").get<std::string>();
      example.other = from.at("other").get<std::string>();
      example.value = from.at("value").is_number() ? from.at("value").get<double>() : 0;
      example.threshold = from.at("threshold").is_number() ? from.at("threshold").get<double>() : 0;
      example.detail = from.at("detail").get<std::string>();
      examples.add(item.key(), std::move(example));
    }
  }
  return examples;
}

int length_bin(std::uint64_t characters) {
  return characters == 0
             ? 0
             : static_cast<int>(std::floor(std::log2(static_cast<double>(characters)) * 4));
}

int score_bin(double score) {
  if (!(score > -1)) return -20;
  return static_cast<int>(std::floor(std::min(score, 2.0) * 20 + 1e-9));
}

void Statistics::add(const Statistics& other) {
  input_bytes += other.input_bytes;
  if (entered.size() < other.entered.size()) entered.resize(other.entered.size());
  for (std::size_t k = 0; k < other.entered.size(); ++k) data::add(entered[k], other.entered[k]);
  data::add(drops, other.drops);
  for (const auto& item : other.edits) edits[item.first] += item.second;
  bad_inputs += other.bad_inputs;
  for (const BadInput& bad : other.first_bad_inputs) {
    if (first_bad_inputs.size() == kBadInputsShown) break;
    first_bad_inputs.push_back(bad);
  }
  data::add(kept_lengths, other.kept_lengths);
  data::add(dropped_lengths, other.dropped_lengths);
  for (const auto& item : other.scores) data::add(scores[item.first], item.second);
  dropped.add(other.dropped);
  kept.add(other.kept);
  edited.add(other.edited);
  if (seconds.size() < other.seconds.size()) seconds.resize(other.seconds.size());
  for (std::size_t k = 0; k < other.seconds.size(); ++k) seconds[k] += other.seconds[k];
}

Json Statistics::to_json() const {
  Json json;
  json["input_bytes"] = input_bytes;
  json["entered"] = Json::array();
  for (const ByLanguage& amounts : entered) json["entered"].push_back(amounts_to_json(amounts));
  json["drops"] = amounts_to_json(drops);
  json["edits"] = edits;
  json["bad_inputs"] = bad_inputs;
  json["first_bad_inputs"] = Json::array();
  for (const BadInput& bad : first_bad_inputs)
    json["first_bad_inputs"].push_back(data::to_json(bad));
  json["kept_lengths"] = histogram_to_json(kept_lengths);
  json["dropped_lengths"] = histogram_to_json(dropped_lengths);
  json["scores"] = Json::object();
  for (const auto& item : scores) json["scores"][item.first] = histogram_to_json(item.second);
  json["dropped"] = dropped.to_json();
  json["kept"] = kept.to_json();
  json["edited"] = edited.to_json();
  json["seconds"] = seconds;
  return json;
}

Statistics Statistics::from_json(const Json& json) {
  Statistics statistics;
  statistics.input_bytes = json.at("input_bytes").get<std::uint64_t>();
  for (const Json& amounts : json.at("entered"))
    statistics.entered.push_back(amounts_from(amounts));
  statistics.drops = amounts_from(json.at("drops"));
  statistics.edits = json.at("edits").get<std::map<std::string, std::uint64_t>>();
  statistics.bad_inputs = json.at("bad_inputs").get<std::uint64_t>();
  for (const Json& bad : json.at("first_bad_inputs"))
    statistics.first_bad_inputs.push_back(
        {bad.at("file").get<std::string>(), bad.at("row").get<std::uint64_t>(),
         bad.at("offset").get<std::uint64_t>(), bad.at("what").get<std::string>()});
  statistics.kept_lengths = histogram_from(json.at("kept_lengths"));
  statistics.dropped_lengths = histogram_from(json.at("dropped_lengths"));
  for (const auto& item : json.at("scores").items())
    statistics.scores[item.key()] = histogram_from(item.value());
  statistics.dropped = Examples::from_json(json.at("dropped"));
  statistics.kept = Examples::from_json(json.at("kept"));
  statistics.edited = Examples::from_json(json.at("edited"));
  statistics.seconds = json.at("seconds").get<std::vector<double>>();
  return statistics;
}

std::string excerpt_of(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  return std::string(text.substr(0, complete_utf8_prefix(text.substr(0, bytes)))) + "…";
}

std::uint64_t count_characters(std::string_view text) {
  std::uint64_t continued = 0;
  for (const char byte : text) continued += (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
  return text.size() - continued;
}

}  // namespace tigerbot::data
