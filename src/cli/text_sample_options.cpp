#include "cli/text_sample_options.h"

#include <algorithm>
#include <cstdio>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace tigerbot {

void TextSampleFlags::add(CLI::App& command) {
  command
      .add_option("--sample-bytes", sample_bytes,
                  "Draw about so much text (K, M, G, T are powers of 1024); default: all of it")
      ->transform(CLI::AsSizeValue(false));
  command.add_option("--shares", shares,
                     "Share of each language in the sample, such as zh=0.5,ja=0.3,ko=0.2; default: "
                     "the same of every language");
  command.add_option("--seed", seed, "Which sample is drawn");
}

ShownSample::ShownSample(const TextSampleFlags& flags, const std::string& label) {
  data::SampleOptions options;
  options.bytes = flags.sample_bytes;
  options.shares = data::parse_shares(flags.shares);
  options.seed = flags.seed;
  options.on_bad_input = [this](const data::BadInput& bad) {
    if (bad_rows_++ == 0) first_bad_ = fmt::format("{}:{}: {}", bad.file, bad.row, bad.what);
  };
  std::vector<data::SampleInput> inputs = data::find_sample_inputs(flags.files);
  progress_ =
      std::make_unique<Progress>(label, 0, Progress::Options{.unit = Progress::Unit::kBytes});
  options.on_progress = [this](std::uint64_t done, std::uint64_t total) {
    progress_->set_total(total);
    progress_->set_done(done);
  };
  sample_ = std::make_unique<data::TextSample>(std::move(inputs), std::move(options));
}

std::optional<data::Document> ShownSample::next() { return sample_->next(); }

void ShownSample::finish() {
  progress_->finish();
  if (texts() == 0) {
    fail("no text was drawn{}; give more files or a larger --sample-bytes",
         bad_rows_ == 0 ? "" : fmt::format(" ({} bad rows, the first: {})", bad_rows_, first_bad_));
  }
}

std::uint64_t ShownSample::texts() const {
  std::uint64_t texts = 0;
  for (const auto& [name, language] : sample_->languages()) texts += language.texts;
  return texts;
}

nlohmann::ordered_json ShownSample::report() const {
  nlohmann::ordered_json languages = nlohmann::ordered_json::object();
  for (const auto& [name, language] : sample_->languages()) {
    auto& entry = languages[name.empty() ? "unknown" : name];
    entry = {{"bytes", language.bytes}, {"texts", language.texts}};
    if (language.available_bytes > 0) entry["available_bytes"] = language.available_bytes;
  }
  return {{"languages", languages}, {"bad_rows", bad_rows_}};
}

void ShownSample::print_report() const {
  for (const auto& [name, language] : sample_->languages()) {
    fmt::print(stderr, "  {:<8} {:>12} in {} texts{}\n", name.empty() ? "unknown" : name,
               format_bytes(language.bytes), format_count(language.texts),
               language.available_bytes > 0
                   ? fmt::format(" (of {})", format_bytes(language.available_bytes))
                   : "");
  }
  if (bad_rows_ > 0) {
    fmt::print(stderr, "  {} bad rows were left out, the first: {}\n", bad_rows_, first_bad_);
  }
}

WordCounts count_words(ShownSample& sample, const PreTokenizer& pre_tokenizer,
                       const Normalizer* normalizer, int threads,
                       const std::function<void(const std::string&)>& on_text) {
  // Portions that keep several threads busy.
  constexpr std::size_t kPortion = 8 << 20;
  WordCounter counter(pre_tokenizer, normalizer, threads);
  std::vector<std::string> texts;
  std::size_t bytes = 0;
  const auto flush = [&] {
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    counter.add(views);
    texts.clear();
    bytes = 0;
  };
  while (auto document = sample.next()) {
    if (on_text) on_text(document->text);
    bytes += document->text.size();
    texts.push_back(std::move(document->text));
    if (bytes >= kPortion) flush();
  }
  flush();
  sample.finish();
  return counter.finish();
}

void refuse_existing(const std::string& folder) {
  std::error_code error;
  if (std::filesystem::exists(folder, error) && !std::filesystem::is_empty(folder, error)) {
    fail("{}: is there already; choose another --output", folder);
  }
}

int thread_count(int asked) {
  return asked > 0 ? asked : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace tigerbot
