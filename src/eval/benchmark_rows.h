#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tigerbot {

/// A question of a benchmark as text, and what should follow it.
struct BenchmarkRow {
  std::string prompt;
  std::string answer;
  std::string source;    ///< the file's name without its ending
  std::string language;  ///< "zh" where the text is mostly Chinese, else "en"
};

/// Turns a benchmark's own rows into prompts and right answers; the fields tell which it is. Known:
/// ARC and CommonsenseQA, SQuAD 2.0 and CMRC, WebQuestions, TriviaQA, HellaSwag, WinoGrande, BoolQ,
/// GSM8K, OCNLI, C3, and PIQA and SIQA with NAME-labels.lst beside NAME.jsonl. docs/training.md
/// shows what each becomes. Rows that say no answer are an Error with their place.
std::vector<BenchmarkRow> read_benchmark(const std::filesystem::path& file);

/// Writes the rows of all files as JSON lines for next-token evaluation: {"prompt", "answer",
/// "source", "language"}. Returns how many there are.
std::int64_t convert_benchmarks(const std::vector<std::filesystem::path>& files,
                                const std::filesystem::path& output);

}  // namespace tigerbot
