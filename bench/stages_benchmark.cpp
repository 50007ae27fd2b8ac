// What the per-document stages do to real files, and how fast: rows of JSON lines with "text" (and
// "language" or "label" where a mode needs it) go through stages in memory.
//
//   bench_stages speed RECIPE.toml FILE...     MB/s of each stage and of the chain, on 1 and 2
//   threads bench_stages drops RECIPE.toml FILE...     share of documents dropped, by file and
//   reason bench_stages values FILE...                percentiles of what each rule measures
//   bench_stages language FILE...              accuracy against the rows' "language"
//   bench_stages labels RECIPE.toml FILE LABEL precision and recall of the drops against "label"
//   bench_stages dictionary WORDS FILE...      MB in a CPU second of the word search
//
// bench/data_filters.py makes the files and runs this beside the peers.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <ctime>
#include <map>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/toml.h"
#include "data/reader.h"
#include "data/stage.h"
#include "data/stages/language.h"
#include "data/stages/phrase_automaton.h"
#include "data/stages/rules.h"

namespace tigerbot::data {
namespace {

using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<Document> read_documents(const std::string& file) {
  ReaderOptions options;
  options.source = file;
  options.on_bad_input = [](const BadInput& bad) { fail("{}: {}", bad.file, bad.what); };
  const auto reader = open_reader(file, options);
  std::vector<Document> documents;
  while (auto document = reader->next()) documents.push_back(std::move(*document));
  return documents;
}

std::vector<std::unique_ptr<DocumentStage>> read_stages(const std::string& recipe) {
  const Json table = read_toml_file(recipe);
  std::vector<std::unique_ptr<DocumentStage>> stages;
  JsonReader reader(table, recipe);
  for (JsonReader& entry : reader.objects("stage")) stages.push_back(make_document_stage(entry));
  return stages;
}

/// Applies stages [first, last) to every document still there, on some threads.
double apply_all(const std::vector<std::unique_ptr<DocumentStage>>& stages, std::size_t first,
                 std::size_t last, std::vector<Document>& documents, std::vector<char>& dropped,
                 std::size_t threads) {
  const auto start = Clock::now();
  std::vector<std::thread> workers;
  for (std::size_t worker = 0; worker < threads; ++worker) {
    workers.emplace_back([&, worker] {
      for (std::size_t k = worker; k < documents.size(); k += threads)
        for (std::size_t stage = first; stage < last && !dropped[k]; ++stage)
          dropped[k] = stages[stage]->apply(documents[k]).has_value();
    });
  }
  for (std::thread& worker : workers) worker.join();
  return seconds_since(start);
}

void speed(const Arguments& arguments) {
  const auto stages = read_stages(arguments.at(0));
  std::vector<Document> documents;
  for (std::size_t k = 1; k < arguments.size(); ++k) {
    auto more = read_documents(arguments[k]);
    documents.insert(documents.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
  }
  double bytes = 0;
  for (const Document& document : documents) bytes += static_cast<double>(document.text.size());
  fmt::print("{} documents, {:.1f} MB\n", documents.size(), bytes / 1e6);
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    for (std::size_t stage = 0; stage <= stages.size(); ++stage) {
      // The last round is the whole chain.
      const bool chain = stage == stages.size();
      std::vector<double> rates;
      for (int round = 0; round < 5; ++round) {
        std::vector<Document> copy = documents;
        std::vector<char> dropped(copy.size(), 0);
        if (!chain) apply_all(stages, 0, stage, copy, dropped, 2);
        double left = 0;
        for (std::size_t k = 0; k < copy.size(); ++k)
          if (!dropped[k]) left += static_cast<double>(copy[k].text.size());
        const double time = apply_all(stages, chain ? 0 : stage, chain ? stages.size() : stage + 1,
                                      copy, dropped, threads);
        rates.push_back(left / time / 1e6);
      }
      std::sort(rates.begin(), rates.end());
      fmt::print("{} thread(s) {:<12} {:8.1f} MB/s ({:.1f} to {:.1f})\n", threads,
                 chain ? "chain" : std::string(stages[stage]->name()), rates[2], rates.front(),
                 rates.back());
    }
  }
}

void drops(const Arguments& arguments) {
  const auto stages = read_stages(arguments.at(0));
  for (std::size_t k = 1; k < arguments.size(); ++k) {
    auto documents = read_documents(arguments[k]);
    std::map<std::string, std::size_t> reasons;
    std::map<std::string, std::string> examples;
    std::size_t dropped = 0;
    double bytes = 0, dropped_bytes = 0;
    for (Document& document : documents) {
      bytes += static_cast<double>(document.text.size());
      for (const auto& stage : stages) {
        const auto drop = stage->apply(document);
        if (!drop) continue;
        ++dropped;
        dropped_bytes += static_cast<double>(document.text.size());
        ++reasons[drop->reason + " " +
                  (drop->reason == "rules.chat" || drop->reason == "rules.advertisement"
                       ? ""
                       : drop->detail)];
        break;
      }
    }
    fmt::print("{}: {} of {} documents dropped ({:.1f}%), {:.1f}% of {:.1f} MB\n", arguments[k],
               dropped, documents.size(),
               100.0 * static_cast<double>(dropped) / static_cast<double>(documents.size()),
               100.0 * dropped_bytes / bytes, bytes / 1e6);
    for (const auto& [reason, count] : reasons)
      fmt::print("    {:<60} {:6} {:5.1f}%\n", reason, count,
                 100.0 * static_cast<double>(count) / static_cast<double>(documents.size()));
  }
}

void values(const Arguments& arguments) {
  const auto rules = rule_list();
  for (const std::string& file : arguments) {
    std::vector<std::vector<double>> measured(rules.size());
    for (const Document& document : read_documents(file)) {
      const auto all = rule_values(document.text, detect_language(document.text).language);
      for (std::size_t k = 0; k < all.size(); ++k) measured[k].push_back(all[k]);
    }
    fmt::print("{} ({} documents)\n", file, measured[0].size());
    for (std::size_t k = 0; k < rules.size(); ++k) {
      auto& list = measured[k];
      std::sort(list.begin(), list.end());
      const auto at = [&](double share) {
        return list[static_cast<std::size_t>(share * static_cast<double>(list.size() - 1))];
      };
      fmt::print("    {:<34} 1% {:8.3f}  5% {:8.3f}  50% {:8.3f}  95% {:8.3f}  99% {:8.3f}\n",
                 rules[k].key, at(0.01), at(0.05), at(0.5), at(0.95), at(0.99));
    }
  }
}

void language(const Arguments& arguments) {
  for (const std::string& file : arguments) {
    std::map<std::string, std::pair<std::size_t, std::size_t>> by_language;  // right, all
    std::map<std::string, std::map<std::string, std::size_t>> taken_for;
    for (const Document& document : read_documents(file)) {
      const std::string truth = document.metadata.at("language").get<std::string>();
      const std::string found = detect_language(document.text).language;
      auto& [right, all] = by_language[truth];
      ++all;
      right += found == truth;
      if (found != truth) ++taken_for[truth][found];
    }
    fmt::print("{}\n", file);
    for (const auto& [name, counts] : by_language) {
      fmt::print("    {:<8} {:6.2f}% of {}", name,
                 100.0 * static_cast<double>(counts.first) / static_cast<double>(counts.second),
                 counts.second);
      for (const auto& [wrong, count] : taken_for[name])
        fmt::print("  {}:{}", wrong.empty() ? "?" : wrong, count);
      fmt::print("\n");
    }
  }
}

/// Precision and recall of what the stages drop against the rows that carry a label.
void labels(const Arguments& arguments) {
  const auto stages = read_stages(arguments.at(0));
  std::size_t right = 0, dropped = 0, labelled = 0, all = 0;
  for (Document& document : read_documents(arguments.at(1))) {
    const bool truth = document.metadata.at("label").get<std::string>() == arguments.at(2);
    bool drop = false;
    for (const auto& stage : stages) drop = drop || stage->apply(document).has_value();
    ++all;
    labelled += truth;
    dropped += drop;
    right += truth && drop;
  }
  const auto percent = [](std::size_t part, std::size_t whole) {
    return whole == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  };
  fmt::print("{} rows, {} {}: precision {:.1f}%, recall {:.1f}%\n", all, labelled, arguments[2],
             percent(right, dropped), percent(right, labelled));
}

void dictionary(const Arguments& arguments) {
  std::vector<std::string> words;
  for (const Document& document : read_documents(arguments.at(0))) words.push_back(document.text);
  const auto start = Clock::now();
  const PhraseAutomaton automaton(words);
  fmt::print("{} words, {} passed over, {:.1f} MB of tables, built in {:.2f} s\n", words.size(),
             automaton.ignored(), static_cast<double>(automaton.bytes()) / 1e6,
             seconds_since(start));
  for (std::size_t k = 1; k < arguments.size(); ++k) {
    const auto documents = read_documents(arguments[k]);
    double bytes = 0;
    std::size_t hits = 0;
    std::vector<double> rates;
    for (int round = 0; round < 5; ++round) {
      bytes = 0;
      hits = 0;
      // Processor time: of one thread, so that other work of the machine counts for little.
      const std::clock_t begin = std::clock();
      for (const Document& document : documents) {
        bytes += static_cast<double>(document.text.size());
        automaton.scan(document.text, [&](const PhraseMatch&) { ++hits; });
      }
      const double seconds =
          static_cast<double>(std::clock() - begin) / static_cast<double>(CLOCKS_PER_SEC);
      rates.push_back(bytes / std::max(seconds, 1e-6) / 1e6);
    }
    std::sort(rates.begin(), rates.end());
    fmt::print("{:<50} {:8.1f} MB in a CPU second ({:.1f} to {:.1f}), {} hits in {:.1f} MB\n",
               arguments[k], rates[2], rates.front(), rates.back(), hits, bytes / 1e6);
  }
}

}  // namespace
}  // namespace tigerbot::data

int main(int count, char** values) {
  using namespace tigerbot;
  const std::vector<std::string> arguments(values + 1, values + count);
  const std::map<std::string, void (*)(const data::Arguments&)> modes = {
      {"speed", data::speed},       {"drops", data::drops},   {"values", data::values},
      {"language", data::language}, {"labels", data::labels}, {"dictionary", data::dictionary}};
  try {
    const auto mode = arguments.empty() ? modes.end() : modes.find(arguments[0]);
    if (mode == modes.end())
      fail("the first argument is speed, drops, values, language, labels or dictionary");
    mode->second({arguments.begin() + 1, arguments.end()});
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "bench_stages: {}\n", error.what());
    return error.exit_status();
  }
}
