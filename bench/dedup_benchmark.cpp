// Near-duplicate removal by itself, from files of JSON lines to files of JSON lines:
//
//   bench_dedup files OUTPUT_FOLDER THREADS FILE.jsonl...
//   bench_dedup exact OUTPUT_FOLDER THREADS FILE.jsonl...      exact duplicates alone
//
// writes what is kept to OUTPUT_FOLDER/N.jsonl, a line for each dropped document to
// OUTPUT_FOLDER/dropped.jsonl, and prints the times as JSON. And how the work grows with the number
// of documents (made up, short, a tenth of them near duplicates):
//
//   bench_dedup growth FOLDER THREADS MEMORY_MIB DOCUMENTS...
//
// prints a table; the peak memory is that of a child process for each number. And how near the
// simhashes of texts and their copies are, beside the index of sketches that is used:
//
//   bench_dedup simhash PAIRS.jsonl             rows with "text", "other" and "label"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "data/dedup/candidate_index.h"
#include "data/dedup/exact_duplicates.h"
#include "data/dedup/folded_text.h"
#include "data/dedup/near_duplicates.h"
#include "data/dedup/sketch.h"
#include "data/document_file.h"
#include "data/reader.h"
#include "data/tasks.h"
#include "parallel/communicator.h"

namespace tigerbot::data {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<DedupUnit> units_in(const fs::path& folder, std::size_t count) {
  std::vector<DedupUnit> units;
  for (std::size_t k = 0; k < count; ++k)
    units.push_back(
        {folder / fmt::format("{}.documents", k), folder / fmt::format("{}.fingerprints", k)});
  return units;
}

std::vector<std::vector<fs::path>> by_unit(const std::vector<fs::path>& paths) {
  std::vector<std::vector<fs::path>> dropped;
  for (const fs::path& path : paths) dropped.push_back({path});
  return dropped;
}

/// JSON's escapes; the text is valid UTF-8.
void append_json_string(std::string& out, std::string_view text) {
  out.push_back('"');
  std::size_t start = 0;
  for (std::size_t k = 0; k < text.size(); ++k) {
    const auto byte = static_cast<unsigned char>(text[k]);
    if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
    out.append(text.substr(start, k - start));
    start = k + 1;
    if (byte == '\n') {
      out += "\\n";
    } else if (byte == '"' || byte == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(byte));
    } else {
      out += fmt::format("\\u{:04x}", byte);
    }
  }
  out.append(text.substr(start));
  out.push_back('"');
}

struct Result {
  std::uint64_t documents = 0, exact = 0, near = 0;
  double read = 0, exact_seconds = 0, near_seconds = 0, write = 0;
};

std::string line_of(const Document& document) {
  std::string line = "{\"text\":";
  append_json_string(line, document.text);
  if (document.metadata.is_object()) {
    for (const auto& [key, value] : document.metadata.items()) {
      line.push_back(',');
      append_json_string(line, key);
      line.push_back(':');
      line += value.dump();
    }
  }
  return line + "}\n";
}

Result dedupe_files(const fs::path& output, int threads, const std::vector<fs::path>& files,
                    bool search_near) {
  fs::remove_all(output);
  create_folders(output / "work");
  create_folders(output / "exact");
  create_folders(output / "near");
  const auto communicator = make_solo_communicator();
  const std::vector<DedupUnit> units = units_in(output / "work", files.size());
  Result result;
  const auto never = [](std::size_t) { return false; };
  auto start = Clock::now();
  std::vector<std::uint64_t> sizes(files.size());
  run_tasks(*communicator, threads, files.size(), never, [&](std::size_t k) {
    const auto reader = open_reader(files[k], ReaderOptions{});
    DocumentFileWriter writer(units[k].documents);
    FingerprintSettings settings;
    settings.sketch = search_near;
    FingerprintWriter fingerprints(units[k].fingerprints, settings);
    while (const auto document = reader->next()) {
      writer.append(*document);
      fingerprints.append(*document);
    }
    sizes[k] = writer.size();
    writer.commit();
    fingerprints.commit();
  });
  for (const std::uint64_t size : sizes) result.documents += size;
  result.read = seconds_since(start);

  start = Clock::now();
  DedupContext context{*communicator, threads, 2ull << 30, output / "exact", false};
  const auto exact = find_exact_duplicates(units, context);
  result.exact_seconds = seconds_since(start);
  start = Clock::now();
  context.work_folder = output / "near";
  const auto near =
      search_near ? find_near_duplicates(units, by_unit(exact), NearDuplicateSettings{}, context)
                  : std::vector<fs::path>{};
  result.near_seconds = seconds_since(start);

  start = Clock::now();
  std::vector<std::string> reports(files.size());
  std::vector<std::uint64_t> exact_count(files.size()), near_count(files.size());
  run_tasks(*communicator, threads, files.size(), never, [&](std::size_t k) {
    DocumentFile documents(units[k].documents);
    AtomicFile kept(output / fmt::format("{}.jsonl", k));
    std::vector<bool> gone(documents.size(), false);
    for (const auto* phase : {&exact, &near}) {
      if (phase->empty()) continue;
      for (const DuplicateDecision& decision : read_duplicate_decisions(phase->at(k))) {
        gone[decision.document] = true;
        ++(phase == &exact ? exact_count : near_count)[k];
        reports[k] += fmt::format(
            "{{\"file\":{},\"row\":{},\"kept_file\":{},\"kept_row\":{},\"similarity\":{}}}\n", k,
            decision.document, decision.kept_unit, decision.kept_document, decision.similarity);
      }
    }
    for (std::size_t row = 0; const auto document = documents.next(); ++row)
      if (!gone[row]) kept.write(line_of(*document));
    kept.commit();
  });
  std::string report;
  for (std::size_t k = 0; k < files.size(); ++k) {
    report += reports[k];
    result.exact += exact_count[k];
    result.near += near_count[k];
  }
  write_file(output / "dropped.jsonl", report);
  result.write = seconds_since(start);
  for (const char* folder : {"work", "exact", "near"}) fs::remove_all(output / folder);
  return result;
}

/// A made-up sentence of some 100 letters; every tenth repeats an earlier one with a word changed.
std::string short_text(std::uint64_t number) {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> made(50000);
    for (std::uint64_t k = 0; k < made.size(); ++k)
      for (std::uint64_t letter = 0; letter < 4 + k % 5; ++letter)
        made[k].push_back(static_cast<char>('a' + random_below({2, k, letter}, 26)));
    return made;
  }();
  const auto text_of = [](std::uint64_t which) {
    std::string text;
    for (std::uint64_t word = 0; word < 14; ++word)
      text += words[random_below({1, which, word}, words.size())] + ' ';
    return text;
  };
  if (number % 10 != 9) return text_of(number);
  std::string text = text_of(random_below({3, number, 0}, number / 10 + 1) * 10);
  const std::uint64_t at = random_below({4, number, 0}, text.size() - 8);
  return text.substr(0, at) + "changed" + text.substr(at + 5);
}

/// Seconds of: making files, exact duplicates, near duplicates.
Result growth_of(const fs::path& folder, int threads, std::uint64_t memory,
                 std::uint64_t documents) {
  fs::remove_all(folder);
  for (const char* name : {"work", "exact", "near"}) create_folders(folder / name);
  const auto communicator = make_solo_communicator();
  constexpr std::uint64_t kUnit = 50000;
  const std::vector<DedupUnit> units = units_in(folder / "work", (documents + kUnit - 1) / kUnit);
  Result result;
  result.documents = documents;
  auto start = Clock::now();
  run_tasks(
      *communicator, threads, units.size(), [](std::size_t) { return false; },
      [&](std::size_t k) {
        DocumentFileWriter writer(units[k].documents);
        FingerprintWriter fingerprints(units[k].fingerprints, FingerprintSettings{});
        for (std::uint64_t n = k * kUnit; n < std::min(documents, (k + 1) * kUnit); ++n) {
          Document document;
          document.text = short_text(n);
          writer.append(document);
          fingerprints.append(document);
        }
        writer.commit();
        fingerprints.commit();
      });
  result.read = seconds_since(start);
  start = Clock::now();
  DedupContext context{*communicator, threads, memory, folder / "exact", false};
  const std::vector<fs::path> exact = find_exact_duplicates(units, context);
  result.exact_seconds = seconds_since(start);
  start = Clock::now();
  context.work_folder = folder / "near";
  const auto near = find_near_duplicates(units, by_unit(exact), NearDuplicateSettings{}, context);
  result.near_seconds = seconds_since(start);
  for (std::size_t k = 0; k < units.size(); ++k) {
    result.exact += read_duplicate_decisions(exact[k]).size();
    result.near += read_duplicate_decisions(near[k]).size();
  }
  fs::remove_all(folder);
  return result;
}

int growth(const std::vector<std::string>& arguments) {
  const fs::path folder = arguments.at(0);
  const int threads = std::stoi(arguments.at(1));
  const std::uint64_t memory = std::stoull(arguments.at(2)) << 20;
  fmt::print("{:>10} {:>8} {:>8} {:>8} {:>9} {:>9} {:>12} {:>9}\n", "documents", "write s",
             "exact s", "near s", "us/doc", "peak MiB", "near found", "exponent");
  double before_seconds = 0, before_documents = 0;
  for (std::size_t k = 3; k < arguments.size(); ++k) {
    const std::uint64_t documents = std::stoull(arguments[k]);
    int channel[2];
    if (::pipe(channel) != 0) fail_internal("no pipe");
    std::fflush(stdout);
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        const Result result = growth_of(folder, threads, memory, documents);
        [[maybe_unused]] const auto written = ::write(channel[1], &result, sizeof(result));
        ::_exit(0);
      } catch (const std::exception& error) {
        fmt::print(stderr, "{}\n", error.what());
        ::_exit(1);
      }
    }
    ::close(channel[1]);
    Result result;
    const auto got = ::read(channel[0], &result, sizeof(result));
    ::close(channel[0]);
    int status = 0;
    rusage usage{};
    ::wait4(child, &status, 0, &usage);
    if (got != static_cast<ssize_t>(sizeof(result)) || status != 0) return 1;
    const double seconds = result.read + result.exact_seconds + result.near_seconds;
    const double exponent = before_seconds > 0
                                ? std::log(seconds / before_seconds) /
                                      std::log(static_cast<double>(documents) / before_documents)
                                : 0;
    fmt::print("{:>10} {:>8.2f} {:>8.2f} {:>8.2f} {:>9.2f} {:>9} {:>12} {:>9}\n", documents,
               result.read, result.exact_seconds, result.near_seconds,
               1e6 * seconds / static_cast<double>(documents), usage.ru_maxrss / 1024, result.near,
               before_seconds > 0 ? fmt::format("{:.2f}", exponent) : "");
    before_seconds = seconds;
    before_documents = static_cast<double>(documents);
  }
  return 0;
}

/// By label, the share of pairs whose simhashes differ in so many bits at most, and of those that
/// the index of sketches makes candidates.
int simhash(const std::filesystem::path& pairs) {
  struct Counts {
    double all = 0, three = 0, six = 0, ten = 0, candidates = 0;
  };
  std::map<std::string, Counts> by_label;
  const auto reader = open_reader(pairs, ReaderOptions{});
  std::vector<std::uint64_t> scratch;
  while (const auto document = reader->next()) {
    const std::u16string a = letters_of(document->text);
    const std::u16string b = letters_of(document->metadata.at("other").get<std::string>());
    std::vector<KeyRecord> records;
    for (const auto& [letters, number] : {std::pair{&a, 0}, std::pair{&b, 1}}) {
      const auto keys = keys_of(make_sketch(*letters, scratch), static_cast<std::uint64_t>(number));
      records.insert(records.end(), keys.begin(), keys.end());
    }
    Counts& counts = by_label[document->metadata.at("label").get<std::string>()];
    const int bits = std::popcount(sequence_simhash(a) ^ sequence_simhash(b));
    ++counts.all;
    counts.three += bits <= 3;
    counts.six += bits <= 6;
    counts.ten += bits <= 10;
    counts.candidates += candidate_pairs(records).empty() ? 0 : 1;
  }
  fmt::print("{:<24} {:>6} {:>8} {:>8} {:>8} {:>11}\n", "copies under", "pairs", "3 bits", "6 bits",
             "10 bits", "candidates");
  for (const auto& [label, counts] : by_label)
    fmt::print("{:<24} {:>6} {:>8.3f} {:>8.3f} {:>8.3f} {:>11.3f}\n", label, counts.all,
               counts.three / counts.all, counts.six / counts.all, counts.ten / counts.all,
               counts.candidates / counts.all);
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() == 2 && arguments[0] == "simhash") return simhash(arguments[1]);
  if (arguments.size() >= 4 && arguments[0] == "growth")
    return growth({arguments.begin() + 1, arguments.end()});
  if (arguments.size() < 4 || (arguments[0] != "files" && arguments[0] != "exact"))
    fail(
        "bench_dedup files|exact OUTPUT THREADS FILE... | growth FOLDER THREADS MEMORY_MIB "
        "DOCUMENTS... "
        "| "
        "simhash PAIRS.jsonl");
  const auto start = Clock::now();
  const Result result = dedupe_files(arguments[1], std::stoi(arguments[2]),
                                     std::vector<fs::path>(arguments.begin() + 3, arguments.end()),
                                     arguments[0] == "files");
  const double seconds = seconds_since(start);
  double megabytes = 0;
  for (std::size_t k = 3; k < arguments.size(); ++k)
    megabytes += static_cast<double>(fs::file_size(arguments[k])) / 1e6;
  fmt::print(
      "{{\"documents\":{},\"exact\":{},\"near\":{},\"seconds\":{:.3f},\"documents_per_second\":"
      "{:.0f},\"megabytes_per_second\":{:.0f},\"read\":{:.3f},\"exact_seconds\":{:.3f},\"near_"
      "seconds\":{:.3f},\"write\":{:.3f}}}"
      "\n",
      result.documents, result.exact, result.near, seconds,
      static_cast<double>(result.documents) / seconds, megabytes / seconds, result.read,
      result.exact_seconds, result.near_seconds, result.write);
  return 0;
}

}  // namespace
}  // namespace tigerbot::data

int main(int argc, char** argv) {
  try {
    return tigerbot::data::run({argv + 1, argv + argc});
  } catch (const tigerbot::Error& error) {
    fmt::print(stderr, "bench_dedup: {}\n", error.what());
    return error.exit_status();
  }
}
