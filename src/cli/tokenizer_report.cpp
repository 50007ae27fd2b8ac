// tigerbot tokenizer report: tokenizers side by side.

#include "tokenizer/report/tokenizer_report.h"

#include <CLI/App.hpp>
#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/text.h"
#include "cli/options.h"
#include "cli/text_sample_options.h"
#include "cli/tokenizer_commands.h"
#include "weights/hub/models.h"
#include "weights/tokenizer_files.h"

namespace tigerbot {
namespace {

struct ReportOptions {
  std::vector<std::string> tokenizers, sentences;
  TextSampleFlags sample;
  std::string html;
  int threads = 0;
  bool json = false;
};

std::string name_of(const std::string& tokenizer) {
  const std::filesystem::path path(tokenizer);
  const std::string name =
      path.filename().empty() ? path.parent_path().filename().string() : path.filename().string();
  // "a/tokenizer.json" and "b/tokenizer.json" are told apart by their folders.
  if (name == "tokenizer.json" || name == "tokenizer.model") {
    const std::string folder = path.parent_path().filename().string();
    return folder.empty() ? name : folder;
  }
  return name;
}

void run(const ReportOptions& options) {
  TextsByLanguage texts;
  if (!options.sample.files.empty()) {
    ShownSample sample(options.sample, "read");
    while (const auto document = sample.next()) {
      auto& lines = texts[document->language.empty() ? "text" : document->language];
      for (const std::string_view line : split(document->text, '\n')) {
        if (!line.empty()) lines.emplace_back(line);
      }
    }
    sample.finish();
  }
  const std::vector<std::string>& sentences =
      options.sentences.empty() ? example_sentences() : options.sentences;
  std::vector<TokenizerReport> reports;
  for (const std::string& name : options.tokenizers) {
    const auto tokenizer = open_tokenizer(resolve_model(name));
    reports.push_back(make_tokenizer_report(name_of(name), *tokenizer, texts, sentences,
                                            thread_count(options.threads)));
  }
  if (!options.html.empty()) write_file(options.html, report_html(reports, sentences));
  if (options.json) {
    print_json(report_json(reports, sentences));
  } else {
    const std::string text = report_text(reports, sentences);
    std::fwrite(text.data(), 1, text.size(), stdout);
  }
}

}  // namespace

void add_tokenizer_report_command(CLI::App& tokenizer) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App& command = *tokenizer.add_subcommand(
      "report", "Tokenizers side by side: compression, coverage, examples");
  command
      .add_option("TOKENIZERS", options->tokenizers,
                  "Hugging Face directories, tokenizer.json, .model or .gguf files, names that "
                  "`tigerbot pull` knows")
      ->required();
  command.add_option("--text", options->sample.files,
                     "Text to measure on: LANGUAGE=FILE, folders, globs, JSON lines with "
                     "\"language\"");
  options->sample.add(command);
  command.add_option("--sentence", options->sentences,
                     "A sentence to show the tokens of; may be given again");
  command.add_option("--html", options->html, "Write a page with plots");
  command.add_option("--threads", options->threads, "0: all of the machine");
  command.add_flag("--json", options->json, "One JSON object on stdout");
  command.footer(
      "Example:\n  tigerbot tokenizer report smollm2-135m-instruct smollm2-cjk --text "
      "zh=heldout/zh.txt ja=heldout/ja.txt --html report.html");
  command.callback([options] { run(*options); });
}

}  // namespace tigerbot
