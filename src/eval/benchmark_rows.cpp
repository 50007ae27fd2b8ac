#include "eval/benchmark_rows.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/text.h"
#include "base/utf8.h"
#include "train/sft_rows.h"

namespace tigerbot {
namespace {

using Row = nlohmann::ordered_json;

std::string text(const Row& row, const char* key, const std::string& place) {
  if (!row.contains(key) || !row[key].is_string()) {
    fail("{}: \"{}\" is missing or no string", place, key);
  }
  return row[key].get<std::string>();
}

bool is_chinese(const std::string& words) {
  std::size_t han = 0, letters = 0;
  for (const char32_t c : decode_utf8(words)) {
    if (c >= 0x4E00 && c <= 0x9FFF) ++han;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) ++letters;
  }
  return han * 2 > letters;
}

/// "Question: ...\nAnswer:" in the language of the question.
BenchmarkRow asked(const std::string& context, const std::string& question,
                   const std::string& answer) {
  const std::string before = context.empty() ? "" : context + "\n";
  if (is_chinese(question)) return {before + "问题：" + question + "\n答案：", answer, "", ""};
  return {before + "Question: " + question + "\nAnswer:", " " + answer, "", ""};
}

/// The text of the right choice, choices being objects with label and text, or lists of both.
std::string right_choice(const Row& choices, const std::string& key, const std::string& place) {
  if (choices.is_array()) {
    for (const Row& choice : choices) {
      if (text(choice, "label", place) == key) return text(choice, "text", place);
    }
  } else if (choices.is_object() && choices.contains("label") && choices.contains("text")) {
    const Row& labels = choices["label"];
    for (std::size_t i = 0; i < labels.size() && i < choices["text"].size(); ++i) {
      if (labels[i] == key) return choices["text"][i].get<std::string>();
    }
  }
  fail("{}: no choice is labelled {}", place, quote(key));
}

/// SQuAD 2.0 and CMRC 2018 in SQuAD's form: one document of many paragraphs.
void add_squad(const Row& document, const std::string& place, std::vector<BenchmarkRow>& rows) {
  for (const Row& article : document["data"]) {
    for (const Row& paragraph : article["paragraphs"]) {
      const std::string context = text(paragraph, "context", place);
      for (const Row& question : paragraph["qas"]) {
        const bool impossible = question.value("is_impossible", false);
        const Row answers = question.value("answers", Row::array());
        if (!impossible && answers.empty()) continue;
        rows.push_back(asked(context, text(question, "question", place),
                             impossible ? "unanswerable" : text(answers[0], "text", place)));
      }
    }
  }
}

/// TriviaQA's own file.
void add_trivia(const Row& document, const std::string& place, std::vector<BenchmarkRow>& rows) {
  for (const Row& entry : document["Data"]) {
    if (!entry.contains("Answer")) continue;
    rows.push_back(
        asked("", text(entry, "Question", place), text(entry["Answer"], "Value", place)));
  }
}

/// C3: [dialogue or passage, [questions], id].
void add_c3(const Row& entry, const std::string& place, std::vector<BenchmarkRow>& rows) {
  std::string passage;
  for (const Row& line : entry[0])
    passage += (passage.empty() ? "" : "\n") + line.get<std::string>();
  for (const Row& question : entry[1]) {
    rows.push_back(
        asked(passage, text(question, "question", place), text(question, "answer", place)));
  }
}

/// Rows whose answers stand in a file beside them.
BenchmarkRow with_label(const Row& row, const std::string& label, const std::string& place) {
  if (row.contains("goal")) {  // PIQA: 0 or 1
    return {text(row, "goal", place), "\n" + text(row, label == "0" ? "sol1" : "sol2", place), "",
            ""};
  }
  const char* key = label == "1" ? "answerA" : label == "2" ? "answerB" : "answerC";  // SIQA
  return asked(text(row, "context", place), text(row, "question", place), text(row, key, place));
}

BenchmarkRow convert_row(const Row& row, const std::string& place) {
  if (row.contains("question") && row["question"].is_object()) {  // ARC, OpenBookQA
    const Row& question = row["question"];
    return asked("", text(question, "stem", place),
                 right_choice(question["choices"], text(row, "answerKey", place), place));
  }
  if (row.contains("choices") && row.contains("answerKey")) {  // CommonsenseQA
    return asked("", text(row, "question", place),
                 right_choice(row["choices"], text(row, "answerKey", place), place));
  }
  if (row.contains("endings")) {  // HellaSwag
    const Row& label = row["label"];
    const std::size_t right =
        label.is_string() ? std::stoul(label.get<std::string>()) : label.get<std::size_t>();
    if (right >= row["endings"].size()) fail("{}: \"label\" names no ending", place);
    return {text(row, "ctx", place), " " + row["endings"][right].get<std::string>(), "", ""};
  }
  if (row.contains("passage")) {  // BoolQ
    const Row& label = row.contains("label") ? row["label"] : row["answer"];
    const bool yes = label == true || label == "true";
    if (!yes && label != false && label != "false") {
      fail("{}: neither \"label\" nor \"answer\" is true or false", place);
    }
    return asked(text(row, "passage", place), text(row, "question", place) + "?",
                 yes ? "yes" : "no");
  }
  if (row.contains("option1")) {  // WinoGrande
    const std::string sentence = text(row, "sentence", place);
    const std::size_t gap = sentence.find('_');
    if (gap == std::string::npos) fail("{}: the sentence has no gap \"_\"", place);
    std::string before = sentence.substr(0, gap);
    if (before.ends_with(" ")) before.pop_back();
    return {before,
            " " + text(row, text(row, "answer", place) == "1" ? "option1" : "option2", place) +
                sentence.substr(gap + 1),
            "", ""};
  }
  if (row.contains("qText")) {  // WebQuestions
    return asked("", text(row, "qText", place), row["answers"].at(0).get<std::string>());
  }
  if (row.contains("sentence1")) {  // OCNLI
    return asked(text(row, "sentence1", place) + "\n" + text(row, "sentence2", place),
                 "第二句与第一句的关系是蕴含、矛盾还是中立？",
                 row["label"] == "entailment"      ? "蕴含"
                 : row["label"] == "contradiction" ? "矛盾"
                                                   : "中立");
  }
  if (row.contains("context") && row.contains("answer")) {  // a prompt already
    return {text(row, "context", place), " " + text(row, "answer", place), "", ""};
  }
  if (row.contains("question") && row.contains("answers") && row["answers"].is_array()) {
    return asked("", text(row, "question", place), row["answers"].at(0).get<std::string>());
  }
  if (row.contains("question") && row.contains("answer")) {  // GSM8K
    return asked("", text(row, "question", place), text(row, "answer", place));
  }
  fail("{}: no benchmark that is known has such rows", place);
}

std::optional<std::vector<std::string>> labels_beside(const std::filesystem::path& file) {
  const auto path = file.parent_path() / (file.stem().string() + "-labels.lst");
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::vector<std::string> labels;
  const std::string all = read_file(path);
  for (const std::string_view line : split(all, '\n')) {
    if (!trim(line).empty()) labels.emplace_back(trim(line));
  }
  return labels;
}

}  // namespace

std::vector<BenchmarkRow> read_benchmark(const std::filesystem::path& file) {
  std::vector<BenchmarkRow> rows;
  const std::optional<std::vector<std::string>> labels = labels_beside(file);
  const std::string name = file.string();
  try {
    const std::string whole = read_file(file);
    const Row document = Row::parse(whole, nullptr, /*allow_exceptions=*/false);
    if (document.is_object() && document.contains("data")) {
      add_squad(document, name, rows);
    } else if (document.is_object() && document.contains("Data")) {
      add_trivia(document, name, rows);
    } else {
      std::size_t number = 0;
      train::for_each_row(file, [&](const Row& row, const std::string& place) {
        if (row.is_array() && row.size() >= 2) {
          add_c3(row, place, rows);
        } else if (labels && (row.contains("goal") || row.contains("answerA"))) {
          if (number >= labels->size()) fail("{}: has no label", place);
          rows.push_back(with_label(row, (*labels)[number], place));
        } else if (row.is_object()) {
          rows.push_back(convert_row(row, place));
        } else {
          fail("{}: no benchmark that is known has such rows", place);
        }
        ++number;
      });
    }
  } catch (const nlohmann::json::exception& error) {
    fail("{}: not in the form of its benchmark: {}", name, error.what());
  }
  for (BenchmarkRow& row : rows) {
    row.source = file.stem().string();
    row.language = is_chinese(row.prompt) ? "zh" : "en";
  }
  if (rows.empty()) fail("{}: the file holds no row", name);
  return rows;
}

std::int64_t convert_benchmarks(const std::vector<std::filesystem::path>& files,
                                const std::filesystem::path& output) {
  AtomicFile out(output);
  std::int64_t count = 0;
  for (const auto& file : files) {
    for (const BenchmarkRow& row : read_benchmark(file)) {
      const Row line = {{"prompt", row.prompt},
                        {"answer", row.answer},
                        {"source", row.source},
                        {"language", row.language}};
      out.write(line.dump() + "\n");
      ++count;
    }
  }
  out.commit();
  return count;
}

}  // namespace tigerbot
