#include "data/text_sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/text.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;

// Texts fall into so many bins by their hash; a sample takes whole bins and a part of one more.
constexpr std::uint32_t kBins = 1 << 16;

bool is_json_lines(const fs::path& file) {
  fs::path name = file.filename();
  for (const char* packed : {".zst", ".gz", ".bz2", ".xz"})
    if (name.extension() == packed) name = name.stem();
  return name.extension() == ".jsonl" || name.extension() == ".ndjson";
}

bool is_language(std::string_view text) {
  return !text.empty() && text.size() <= 16 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
  });
}

}  // namespace

std::vector<SampleInput> find_sample_inputs(const std::vector<std::string>& patterns) {
  std::vector<SampleInput> inputs;
  for (const std::string& written : patterns) {
    std::string language, pattern = written;
    const std::size_t equals = written.find('=');
    std::error_code error;
    if (equals != std::string::npos && is_language(written.substr(0, equals)) &&
        !fs::exists(expand_home(written), error)) {
      language = written.substr(0, equals);
      pattern = written.substr(equals + 1);
    }
    std::vector<fs::path> files = find_inputs({pattern});
    if (fs::is_directory(expand_home(pattern), error) &&
        std::any_of(files.begin(), files.end(), is_json_lines)) {
      std::erase_if(files, [](const fs::path& file) { return !is_json_lines(file); });
    }
    for (fs::path& file : files) inputs.push_back({language, std::move(file)});
  }
  return inputs;
}

std::map<std::string, double> parse_shares(const std::vector<std::string>& shares) {
  std::map<std::string, double> result;
  for (const std::string& list : shares) {
    for (const std::string_view item : split(list, ',')) {
      const std::size_t equals = item.find('=');
      const std::string language(item.substr(0, std::min(equals, item.size())));
      double share = 0;
      std::size_t read = 0;
      if (equals != std::string_view::npos) {
        const std::string number(item.substr(equals + 1));
        try {
          share = std::stod(number, &read);
        } catch (const std::exception&) {
          read = 0;
        }
        if (read != number.size()) share = 0;
      }
      if (!is_language(language) || !(share > 0) || !std::isfinite(share)) {
        fail("--shares: {} is not LANGUAGE=NUMBER above 0, as in zh=0.5,ja=0.3,ko=0.2",
             quote(item));
      }
      if (!result.emplace(language, share).second) {
        fail("--shares: {} is given twice", quote(language));
      }
    }
  }
  return result;
}

TextSample::TextSample(std::vector<SampleInput> inputs, SampleOptions options)
    : inputs_(std::move(inputs)), options_(std::move(options)) {
  if (inputs_.empty()) fail("there is no text: name files or folders");
  for (const SampleInput& input : inputs_) total_bytes_ += size_of_file(input.file);
  if (!options_.shares.empty() && options_.bytes == 0) {
    fail("--shares needs --sample-bytes: how much text the shares are of");
  }
  if (options_.bytes > 0) {
    total_bytes_ *= 2;
    measure();
  }
}

TextSample::~TextSample() = default;

void TextSample::report_progress() {
  if (!options_.on_progress) return;
  const std::uint64_t done = bytes_before_ + (reader_ ? reader_->consumed() : 0);
  options_.on_progress(std::min(done, total_bytes_), total_bytes_);
}

std::optional<Document> TextSample::read() {
  while (true) {
    if (!reader_) {
      if (next_input_ == inputs_.size()) return std::nullopt;
      const SampleInput& input = inputs_[next_input_++];
      ReaderOptions reader_options;
      reader_options.on_bad_input = options_.on_bad_input;
      reader_options.text_unit = "paragraph";
      reader_ = open_reader(input.file, reader_options);
      language_ = input.language;
    }
    if (auto document = reader_->next()) {
      if (!language_.empty()) {
        document->language = language_;
      } else if (document->language.empty() && document->metadata.is_object()) {
        const auto found = document->metadata.find("language");
        if (found != document->metadata.end() && found->is_string()) {
          document->language = found->get<std::string>();
        }
      }
      // "zh-Hant" is drawn as "zh".
      document->language.resize(std::min(document->language.find('-'), document->language.size()));
      if (++documents_since_report_ % 256 == 0) report_progress();
      return document;
    }
    reader_.reset();
    bytes_before_ += size_of_file(inputs_[next_input_ - 1].file);
    report_progress();
  }
}

std::uint32_t TextSample::bin_of(const Document& document) const {
  return static_cast<std::uint32_t>(hash128(document.text, options_.seed).high >> 48);
}

void TextSample::measure() {
  std::map<std::string, std::vector<std::uint64_t>> bins;
  while (const auto document = read()) {
    if (document->text.empty()) continue;
    auto& bytes = bins[document->language];
    if (!options_.shares.empty() && !options_.shares.contains(document->language)) continue;
    bytes.resize(kBins);
    bytes[bin_of(*document)] += document->text.size();
  }
  next_input_ = 0;
  std::map<std::string, double> shares = options_.shares;
  if (shares.empty()) {
    for (const auto& [language, unused] : bins) shares[language] = 1;
  }
  double sum = 0;
  for (const auto& [language, share] : shares) {
    sum += share;
    if (!bins.contains(language)) {
      std::string found;
      for (const auto& [other, unused] : bins) {
        if (other.empty()) continue;
        found += found.empty() ? other : ", " + other;
      }
      fail(
          "--shares asks for {} and no text is in that language{}; say what a file holds with "
          "{}=FILE",
          quote(language), found.empty() ? "" : " (found: " + found + ")", language);
    }
  }
  for (const auto& [language, bytes] : bins) {
    if (!shares.contains(language)) continue;
    const auto wanted =
        static_cast<std::uint64_t>(static_cast<double>(options_.bytes) * shares.at(language) / sum);
    Quota quota;
    std::uint64_t taken = 0;
    while (quota.full < kBins && taken + bytes[quota.full] <= wanted) taken += bytes[quota.full++];
    quota.rest = wanted - taken;
    quotas_[language] = quota;
    languages_[language].available_bytes =
        std::accumulate(bytes.begin(), bytes.end(), std::uint64_t{0});
  }
}

std::optional<Document> TextSample::next() {
  while (auto document = read()) {
    if (options_.bytes > 0) {
      const auto found = quotas_.find(document->language);
      if (found == quotas_.end()) continue;
      Quota& quota = found->second;
      const std::uint32_t bin = bin_of(*document);
      if (bin > quota.full) continue;
      if (bin == quota.full) {
        if (document->text.size() > quota.rest) continue;
        quota.rest -= document->text.size();
      }
    }
    Language& language = languages_[document->language];
    language.bytes += document->text.size();
    ++language.texts;
    return document;
  }
  require_every_language();
  return std::nullopt;
}

void TextSample::require_every_language() const {
  for (const SampleInput& input : inputs_) {
    const std::string language = input.language.substr(0, input.language.find('-'));
    if (language.empty() || (!options_.shares.empty() && !options_.shares.contains(language)))
      continue;
    const auto found = languages_.find(language);
    if (found != languages_.end() && found->second.bytes > 0) continue;
    if (found != languages_.end() && found->second.available_bytes > 0)
      fail("no text in {} is short enough for its share of --sample-bytes; ask for more",
           quote(language));
    fail(
        "{}: there is no text here, and {} is to come from it; give it other files or leave it out",
        input.file.string(), quote(language));
  }
}

}  // namespace tigerbot::data
