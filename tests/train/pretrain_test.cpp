#include "train/pretrain.h"

#include <gtest/gtest.h>

#include <map>

#include "base/expect_error.h"
#include "base/scratch_folder.h"
#include "train/evaluation.h"
#include "train/tiny_run.h"

namespace tigerbot::train {
namespace {

using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;

PretrainOptions options_of(const ScratchFolder& folder) {
  testing::write_documents(folder / "a", 200, 0);
  testing::write_documents(folder / "b", 100, 100);
  PretrainOptions options;
  options.reader.sources = {{"a", {folder / "a"}, 3}, {"b", {folder / "b"}, 1}};
  options.reader.sequence_length = 64;
  options.reader.vocabulary_size = 258;
  options.reader.seed = 4;
  options.global_batch_tokens = 64 * 10;
  options.micro_batch_sequences = 4;
  return options;
}

std::vector<std::vector<TokenId>> instruction_rows() {
  return {std::vector<TokenId>(13, 200), std::vector<TokenId>(29, 201),
          std::vector<TokenId>(8, 202)};
}

TEST(Pretrain, StepsHaveAllTheirTokensAndWeightsThatSumToOne) {
  const ScratchFolder folder;
  const auto solo = make_solo_communicator();
  PretrainObjective objective(options_of(folder), {}, *solo);
  const StepBatch step = objective.next_step();
  EXPECT_EQ(step.micro_batches.size(), 3U);
  EXPECT_EQ(step.tokens, 640);
  double sum = 0;
  for (const MicroBatch& batch : step.micro_batches) {
    std::size_t token = 0;
    for (const std::int64_t length : batch.lengths) {
      for (std::int64_t i = 0; i < length; ++i, ++token) {
        // A document's ids are all alike: a label from another would show.
        if (batch.labels[token] < 0) continue;
        EXPECT_EQ(batch.labels[token], batch.ids[token]);
        sum += batch.weights[token];
      }
    }
    EXPECT_EQ(token, batch.ids.size());
  }
  EXPECT_NEAR(sum, 1, 1e-5);
}

TEST(Pretrain, InstructionRowsHaveTheirShare) {
  const ScratchFolder folder;
  const auto solo = make_solo_communicator();
  PretrainOptions options = options_of(folder);
  options.instruction_share = 0.05;
  PretrainObjective objective(options, instruction_rows(), *solo);
  std::map<int, std::int64_t> tokens;
  for (int i = 0; i < 40; ++i) {
    for (const MicroBatch& batch : objective.next_step().micro_batches) {
      for (std::size_t s = 0; s < batch.lengths.size(); ++s) {
        tokens[batch.sources[s]] += batch.lengths[s];
      }
    }
  }
  const double all = 40 * 640;
  EXPECT_NEAR(static_cast<double>(tokens[2]) / all, 0.05, 0.003);
  EXPECT_NEAR(static_cast<double>(tokens[0]) / static_cast<double>(tokens[1]), 3, 0.6);
}

TEST(Pretrain, GoesOnFromAPosition) {
  const ScratchFolder folder;
  const auto solo = make_solo_communicator();
  PretrainOptions options = options_of(folder);
  options.instruction_share = 0.2;
  PretrainObjective first(options, instruction_rows(), *solo);
  for (int i = 0; i < 7; ++i) first.next_step();
  const Json position = first.position();
  PretrainObjective second(options, instruction_rows(), *solo);
  second.seek(position);
  for (int i = 0; i < 5; ++i) {
    const StepBatch a = first.next_step();
    const StepBatch b = second.next_step();
    for (std::size_t m = 0; m < a.micro_batches.size(); ++m) {
      EXPECT_EQ(a.micro_batches[m].ids, b.micro_batches[m].ids);
      EXPECT_EQ(a.micro_batches[m].labels, b.micro_batches[m].labels);
    }
  }
}

TEST(Pretrain, DocumentStreamsGiveEveryTokenOncePerEpoch) {
  DocumentStream stream(instruction_rows(), 25, 3);  // 50 tokens an epoch
  for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
    std::map<TokenId, int> seen;
    MicroBatch batch;
    stream.append_sequence(2 * epoch, 0, batch);
    stream.append_sequence(2 * epoch + 1, 0, batch);
    for (const TokenId id : batch.ids) ++seen[id];
    EXPECT_EQ(seen, (std::map<TokenId, int>{{200, 13}, {201, 29}, {202, 8}}));
  }
}

TEST(Pretrain, TokensBeyondTheVocabularyAreRefused) {
  const ScratchFolder folder;
  const auto solo = make_solo_communicator();
  PretrainOptions options = options_of(folder);
  options.reader.vocabulary_size = 120;
  PretrainObjective objective(options, {}, *solo);
  const std::string message = error_of([&] {
    for (int i = 0; i < 20; ++i) objective.next_step();
  });
  EXPECT_NE(message.find("120"), std::string::npos) << message;
}

TEST(Evaluation, LabelsAreOnTheAnswerAndSamplesAreOfTheSeed) {
  const ScratchFolder folder;
  std::string rows;
  for (int i = 0; i < 50; ++i) {
    rows += Json{{"prompt", "What is " + std::to_string(i) + "?"},
                 {"answer", " number"},
                 {"source", i % 2 == 0 ? "even" : "odd"},
                 {"language", "en"}}
                .dump() +
            "\n";
  }
  write_file(folder / "rows.jsonl", rows);
  const auto tokenizer = parse_tokenizer_json(testing::tiny_tokenizer(), "tiny");
  const auto all = read_prompt_answers(folder / "rows.jsonl", *tokenizer, 0, 0, 1);
  ASSERT_EQ(all.size(), 50U);
  std::string answer;
  for (std::size_t i = 0; i < all[0].labels.size(); ++i) {
    if (all[0].labels[i] >= 0) answer += static_cast<char>(all[0].labels[i]);
  }
  // The tokenizer's ids are its bytes.
  EXPECT_EQ(answer, " number");
  const auto ids = [](const std::vector<EvaluationRow>& list) {
    std::vector<std::vector<TokenId>> result;
    for (const EvaluationRow& row : list) result.push_back(row.ids);
    return result;
  };
  const auto some = ids(read_prompt_answers(folder / "rows.jsonl", *tokenizer, 0, 10, 1));
  EXPECT_EQ(some.size(), 10U);
  EXPECT_EQ(some, ids(read_prompt_answers(folder / "rows.jsonl", *tokenizer, 0, 10, 1)));
  EXPECT_NE(some, ids(read_prompt_answers(folder / "rows.jsonl", *tokenizer, 0, 10, 2)));
  // A context shorter than a row keeps its end.
  const auto cut = read_prompt_answers(folder / "rows.jsonl", *tokenizer, 9, 0, 1);
  EXPECT_EQ(cut[0].ids.size(), 9U);
  EXPECT_EQ(std::count(cut[0].labels.begin(), cut[0].labels.end(), -100), 2);
}

}  // namespace
}  // namespace tigerbot::train
