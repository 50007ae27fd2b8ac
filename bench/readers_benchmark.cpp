// How fast files become documents, on one thread: readers_benchmark FILE... [--format NAME]
// [--no-metadata] [--repeat N]. With --print the documents themselves, for a look at what readers
// make of a file.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/reader.h"

namespace {

using namespace tigerbot;
using Clock = std::chrono::steady_clock;

struct Totals {
  std::uint64_t files = 0, documents = 0, text_bytes = 0, disk_bytes = 0, bad = 0;
};

Totals read_all(const std::vector<std::filesystem::path>& files, data::ReaderOptions options,
                bool print) {
  Totals totals;
  options.on_bad_input = [&](const data::BadInput& bad) {
    ++totals.bad;
    fmt::print(stderr, "{}: row {} at byte {}: {}\n", bad.file, bad.row, bad.offset, bad.what);
  };
  for (const auto& file : files) {
    const auto reader = data::open_reader(file, options);
    ++totals.files;
    while (const auto document = reader->next()) {
      ++totals.documents;
      totals.text_bytes += document->text.size();
      if (print)
        fmt::print("=== {} {} at {} {} {}\n{}\n", document->origin.file, document->origin.row,
                   document->origin.offset, document->metadata.dump(),
                   fmt::join(document->edits, ","), document->text);
    }
    totals.disk_bytes += reader->consumed();
  }
  return totals;
}

void run(const std::vector<std::string>& arguments) {
  data::ReaderOptions options;
  std::vector<std::string> patterns;
  int repeat = 5;
  bool print = false;
  for (std::size_t k = 0; k < arguments.size(); ++k) {
    const auto value = [&] {
      if (k + 1 == arguments.size()) fail("{} needs a value", arguments[k]);
      return arguments[++k];
    };
    if (arguments[k] == "--format")
      options.format = value();
    else if (arguments[k] == "--repeat")
      repeat = std::stoi(value());
    else if (arguments[k] == "--no-metadata")
      options.keep_metadata = false;
    else if (arguments[k] == "--print")
      print = true;
    else
      patterns.push_back(arguments[k]);
  }
  if (patterns.empty()) fail("usage: readers_benchmark FILE... [--format NAME] [--repeat N]");
  const auto files = data::find_inputs(patterns);
  if (print) {
    read_all(files, options, true);
    return;
  }
  std::vector<double> seconds;
  Totals totals;
  for (int k = 0; k < repeat; ++k) {
    const auto begin = Clock::now();
    totals = read_all(files, options, false);
    seconds.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  fmt::print(
      "{} files, {} on disk, {} documents, {} of text, {} bad: best {:.3f} s, median {:.3f} s, "
      "worst {:.3f} s; median {:.0f} MB/s on disk, {:.0f} MB/s of text, {:.0f} documents/s\n",
      totals.files, format_bytes(totals.disk_bytes), totals.documents,
      format_bytes(totals.text_bytes), totals.bad, seconds.front(), median, seconds.back(),
      static_cast<double>(totals.disk_bytes) / 1e6 / median,
      static_cast<double>(totals.text_bytes) / 1e6 / median,
      static_cast<double>(totals.documents) / median);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
  } catch (const Error& error) {
    fmt::print(stderr, "readers_benchmark: {}\n", error.what());
    return error.exit_status();
  }
  return 0;
}
