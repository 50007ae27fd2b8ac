#include "train/evaluation.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "train/grouping.h"
#include "train/objective.h"
#include "train/sft_rows.h"

namespace tigerbot::train {
namespace {

constexpr std::uint64_t kSampleStream = 0xE7A'0000'0000;

std::string text_of(const nlohmann::ordered_json& row, const char* key, const std::string& place) {
  if (!row.is_object() || !row.contains(key) || !row[key].is_string()) {
    fail("{}: \"{}\" is missing or no string", place, key);
  }
  return row[key].get<std::string>();
}

std::string text_or(const nlohmann::ordered_json& row, const char* key,
                    const std::string& fallback) {
  return row.is_object() && row.contains(key) && row[key].is_string() ? row[key].get<std::string>()
                                                                      : fallback;
}

/// The labels of ids[first:], each at the token before.
std::vector<std::int64_t> labels_from(const std::vector<TokenId>& ids, std::size_t first) {
  std::vector<std::int64_t> labels(ids.size(), -100);
  for (std::size_t i = std::max<std::size_t>(first, 1); i < ids.size(); ++i) labels[i - 1] = ids[i];
  return labels;
}

}  // namespace

void EvaluationCount::add(const EvaluationCount& other) {
  rows += other.rows;
  tokens += other.tokens;
  correct += other.correct;
  nll += other.nll;
}

Json evaluation_json(const EvaluationCount& count) {
  return {{"loss", count.loss()},
          {"accuracy", count.accuracy()},
          {"rows", count.rows},
          {"tokens", count.tokens}};
}

EvaluationResult evaluate_rows(Decoder& model, const std::vector<EvaluationRow>& rows,
                               std::int64_t tokens_at_once, bool show_progress) {
  const at::NoGradGuard no_grad;
  Progress progress("evaluating", rows.size(), {.unit_name = "rows", .enabled = show_progress});
  EvaluationResult result;
  for (std::size_t first = 0; first < rows.size();) {
    MicroBatch batch;
    std::size_t last = first;
    for (; last < rows.size(); ++last) {
      const EvaluationRow& row = rows[last];
      if (last > first &&
          static_cast<std::int64_t>(batch.ids.size() + row.ids.size()) > tokens_at_once) {
        break;
      }
      batch.ids.insert(batch.ids.end(), row.ids.begin(), row.ids.end());
      batch.labels.insert(batch.labels.end(), row.labels.begin(), row.labels.end());
      batch.lengths.push_back(static_cast<std::int64_t>(row.ids.size()));
    }
    batch.weights.assign(batch.ids.size(), 1.0F);
    const BatchLoss loss = language_model_loss(model, batch);
    const at::Tensor losses = loss.token_losses.cpu();
    const at::Tensor correct = loss.correct.cpu();
    std::size_t at = 0;
    for (std::size_t i = first; i < last; ++i) {
      EvaluationCount count;
      count.rows = 1;
      for (const std::int64_t label : rows[i].labels) {
        if (label >= 0) {
          ++count.tokens;
          count.nll += losses.const_data_ptr<float>()[at];
          count.correct += correct.const_data_ptr<bool>()[at] ? 1 : 0;
        }
        ++at;
      }
      result.total.add(count);
      if (!rows[i].source.empty()) result.by_source[rows[i].source].add(count);
      if (!rows[i].language.empty()) result.by_language[rows[i].language].add(count);
    }
    first = last;
    progress.set_done(first);
  }
  progress.finish();
  return result;
}

std::vector<EvaluationRow> read_prompt_answers(const std::filesystem::path& file,
                                               const Tokenizer& tokenizer, std::int64_t context,
                                               std::int64_t max_rows, std::uint64_t seed) {
  struct Row {
    std::string prompt, answer, source, language;
  };
  std::vector<Row> read;
  for_each_row(file, [&](const nlohmann::ordered_json& row, const std::string& place) {
    Row one{text_of(row, "prompt", place), text_of(row, "answer", place),
            text_or(row, "source", file.stem().string()), text_or(row, "language", "")};
    if (one.answer.empty()) fail("{}: \"answer\" is empty", place);
    read.push_back(std::move(one));
  });
  if (read.empty()) fail("{}: the file holds no row", file.string());
  std::vector<std::int64_t> chosen =
      shuffled(static_cast<std::int64_t>(read.size()), seed, kSampleStream);
  if (max_rows > 0 && max_rows < static_cast<std::int64_t>(chosen.size())) {
    chosen.resize(static_cast<std::size_t>(max_rows));
  }
  std::ranges::sort(chosen);
  std::vector<EvaluationRow> rows;
  for (const std::int64_t i : chosen) {
    const Row& one = read[static_cast<std::size_t>(i)];
    EvaluationRow row;
    const std::vector<TokenId> prompt = tokenizer.encode(one.prompt);
    row.ids = tokenizer.encode(one.prompt + one.answer);
    // A token across the border belongs to the answer.
    const auto shared = std::ranges::mismatch(prompt, row.ids).in2;
    auto first = static_cast<std::size_t>(shared - row.ids.begin());
    if (context > 0 && static_cast<std::int64_t>(row.ids.size()) > context) {
      const auto extra = row.ids.size() - static_cast<std::size_t>(context);
      row.ids.erase(row.ids.begin(), row.ids.begin() + static_cast<std::ptrdiff_t>(extra));
      first = first > extra ? first - extra : 0;
    }
    row.labels = labels_from(row.ids, first);
    row.source = one.source;
    row.language = one.language;
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<EvaluationRow> read_text_windows(const std::filesystem::path& file,
                                             const Tokenizer& tokenizer, std::int64_t context,
                                             std::int64_t max_rows, const std::string& language) {
  std::vector<EvaluationRow> rows;
  const auto add = [&](const std::string& text, const std::string& source,
                       const std::string& its_language) {
    const std::vector<TokenId> ids = tokenizer.encode(text);
    for (std::size_t begin = 0; begin + 1 < ids.size();
         begin += static_cast<std::size_t>(context)) {
      if (max_rows > 0 && static_cast<std::int64_t>(rows.size()) >= max_rows) return;
      const std::size_t end = std::min(ids.size(), begin + static_cast<std::size_t>(context));
      EvaluationRow row;
      row.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                     ids.begin() + static_cast<std::ptrdiff_t>(end));
      row.labels = labels_from(row.ids, 0);
      row.source = source;
      row.language = its_language;
      rows.push_back(std::move(row));
    }
  };
  const std::string extension = file.extension().string();
  if (extension == ".jsonl" || extension == ".json") {
    for_each_row(file, [&](const nlohmann::ordered_json& row, const std::string& place) {
      add(text_of(row, "text", place), text_or(row, "source", file.stem().string()),
          text_or(row, "language", language));
    });
  } else {
    add(replace_invalid_utf8(read_file(file)), file.stem().string(), language);
  }
  if (rows.empty()) fail("{}: the file holds no text", file.string());
  return rows;
}

}  // namespace tigerbot::train
