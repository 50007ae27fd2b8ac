#include "train/sft.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/random.h"
#include "base/scratch_folder.h"
#include "train/grouping.h"
#include "train/optimizer.h"
#include "train/run_parts.h"
#include "train/tiny_run.h"

namespace tigerbot::train {
namespace {

using tigerbot::testing::error_of;
using tigerbot::testing::ScratchFolder;
using OrderedJson = nlohmann::ordered_json;

OrderedJson json(const char* text) { return OrderedJson::parse(text); }

// --- Grouping ------------------------------------------------------------------------------------

TEST(Grouping, FirstFitDecreasingTakesTheFirstGroupWithRoom) {
  const auto groups = first_fit_decreasing({3, 7, 5, 2, 4}, 10);
  // 7 | 5 | 4 goes to 5's group | 3 to 7's | 2: neither 7+3 nor 5+4 has room.
  const std::vector<std::vector<std::int64_t>> expected{{1, 0}, {2, 4}, {3}};
  EXPECT_EQ(groups, expected);
}

TEST(Grouping, EveryExampleStandsInOneGroupThatHolds) {
  std::vector<std::int64_t> lengths;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    lengths.push_back(1 + static_cast<std::int64_t>(random_below({1, 2, i}, 300)));
  }
  const auto groups = first_fit_decreasing(lengths, 512);
  std::vector<int> seen(lengths.size(), 0);
  for (const auto& group : groups) {
    std::int64_t sum = 0;
    for (const std::int64_t i : group) {
      sum += lengths[static_cast<std::size_t>(i)];
      ++seen[static_cast<std::size_t>(i)];
    }
    EXPECT_LE(sum, 512);
    EXPECT_FALSE(group.empty());
  }
  EXPECT_EQ(std::ranges::count(seen, 1), 2000);
  const std::int64_t total = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
  EXPECT_LE(static_cast<double>(groups.size()), 1.02 * static_cast<double>(total) / 512 + 1);
}

TEST(Grouping, ShufflesAreOfTheSeedAndTheStream) {
  EXPECT_EQ(shuffled(50, 1, 2), shuffled(50, 1, 2));
  EXPECT_NE(shuffled(50, 1, 2), shuffled(50, 1, 3));
  std::vector<std::int64_t> order = shuffled(50, 1, 2);
  std::ranges::sort(order);
  for (std::int64_t i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

// --- Rows ----------------------------------------------------------------------------------------

TEST(SftRows, ThreeFormsBecomeOneConversation) {
  const Conversation instruction =
      parse_sft_row(json(R"({"instruction": "Add", "input": "1+1", "output": "2"})"), "p");
  EXPECT_EQ(instruction.messages, json(R"([{"role": "user", "content": "Add\n1+1"},
                                           {"role": "assistant", "content": "2"}])"));
  const Conversation messages =
      parse_sft_row(json(R"({"messages": [{"role": "user", "content": "Add\n1+1"},
                            {"role": "assistant", "content": "2"}]})"),
                    "p");
  EXPECT_EQ(messages.messages, instruction.messages);
  const Conversation turns =
      parse_sft_row(json(R"({"conversations": [{"from": "human", "value": "Add\n1+1"},
                                 {"from": "gpt", "value": "2"}]})"),
                    "p");
  EXPECT_EQ(turns.messages, instruction.messages);
}

TEST(SftRows, PublishedMarkersAreTakenOff) {
  const Conversation row =
      parse_sft_row(json(R"({"instruction": "\n\n### Instruction:\nHi", "input": null,
               "output": "\n\n### Response:\n\n\n### Response:\nHello"})"),
                    "p");
  EXPECT_EQ(row.messages[0]["content"], "Hi");
  EXPECT_EQ(row.messages[1]["content"], "Hello");
}

TEST(SftRows, FunctionCallsAndTheirResults) {
  const Conversation row =
      parse_sft_row(json(R"({"tools": "[{\"name\": \"sum\"}]", "conversations": [
               {"from": "human", "value": "1+1?"},
               {"from": "function_call", "value": "{\"name\": \"sum\", \"arguments\": {\"a\": 1}}"},
               {"from": "observation", "value": "2"}, {"from": "gpt", "value": "Two."}]})"),
                    "p");
  ASSERT_EQ(row.messages.size(), 4U);
  EXPECT_EQ(row.messages[1]["tool_calls"][0]["function"]["name"], "sum");
  EXPECT_EQ(row.messages[2]["role"], "tool");
  EXPECT_EQ(row.tools[0]["function"]["name"], "sum");
}

TEST(SftRows, WhatIsMissingIsNamedWithItsPlace) {
  EXPECT_EQ(error_of([] { parse_sft_row(json(R"({"instruction": "a"})"), "x.jsonl:3"); }),
            "x.jsonl:3: \"output\" is missing or empty; every SFT row needs \"instruction\" and "
            "\"output\"");
  EXPECT_NE(error_of([] {
              parse_sft_row(json(R"({"messages": [{"role": "user", "content": "a"}]})"), "x:1");
            }).find("x:1: the row has no answer"),
            std::string::npos);
  EXPECT_NE(error_of([] { parse_sft_row(json(R"({"text": "a"})"), "x:1"); }).find("no SFT row"),
            std::string::npos);
  EXPECT_NE(error_of([] {
              parse_sft_row(json(R"({"conversations": [{"from": "martian", "value": "a"}]})"),
                            "x:1");
            }).find("\"martian\""),
            std::string::npos);
}

TEST(SftRows, LinesAndArraysAreReadAlike) {
  const ScratchFolder folder;
  write_file(folder / "a.jsonl", "{\"a\": 1}\n\n{\"a\": 2}\n");
  write_file(folder / "a.json", " [{\"a\": 1}, {\"a\": 2}]\n");
  std::vector<std::string> places;
  std::vector<int> values;
  for (const char* name : {"a.jsonl", "a.json"}) {
    for_each_row(folder / name, [&](const OrderedJson& row, const std::string& place) {
      values.push_back(row["a"]);
      places.push_back(place.substr(folder.path().string().size() + 1));
    });
  }
  EXPECT_EQ(values, (std::vector{1, 2, 1, 2}));
  EXPECT_EQ(places,
            (std::vector<std::string>{"a.jsonl:1", "a.jsonl:3", "a.json: row 1", "a.json: row 2"}));
  const std::string gzipped(
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x54\xb2\x52\x30\xac\xe5\xaa\x06\x33\x8c"
      "\x6a\xb9\x00\xce\x32\xde\xc1\x12\x00\x00\x00",
      34);
  write_file(folder / "a.jsonl.gz", gzipped);
  int rows = 0;
  for_each_row(folder / "a.jsonl.gz", [&](const OrderedJson& row, const std::string&) {
    rows = 10 * rows + row["a"].get<int>();
  });
  EXPECT_EQ(rows, 12);
  write_file(folder / "bad.jsonl", "{\"a\": 1}\n{\"a\": \n");
  EXPECT_NE(error_of([&] {
              for_each_row(folder / "bad.jsonl", [](const auto&, const auto&) {});
            }).find("bad.jsonl:2: not valid JSON"),
            std::string::npos);
}

// --- Templates -----------------------------------------------------------------------------------

std::unique_ptr<Tokenizer> tokenizer() {
  return parse_tokenizer_json(testing::tiny_tokenizer(), "tiny");
}

/// The text of the labels of an example, answers divided by "|".
std::string answers(const SftExample& example, const Tokenizer& tokenizer) {
  std::string text;
  std::vector<TokenId> run;
  for (std::size_t i = 0; i < example.labels.size(); ++i) {
    if (example.labels[i] >= 0) {
      EXPECT_EQ(example.labels[i], example.ids[i + 1]);
      run.push_back(example.ids[i + 1]);
    } else if (!run.empty()) {
      text += tokenizer.decode(run, false) + "|";
      run.clear();
    }
  }
  if (!run.empty()) text += tokenizer.decode(run, false) + "|";
  return text;
}

Conversation two_turns() {
  Conversation conversation;
  conversation.messages = json(R"([
    {"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "1"}, {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "2"}])");
  return conversation;
}

TEST(SftTemplate, ChatMlCountsAnswersAndTheirEnds) {
  const auto pieces = tokenizer();
  const SftTemplate chatml(chat_templates::kChatMl, "", "<|im_end|>");
  EXPECT_EQ(answers(chatml.encode(two_turns(), *pieces, "p"), *pieces), "1<|im_end|>|2<|im_end|>|");
}

TEST(SftTemplate, TigerBotsMarkersCountAnswersAndTheirEnds) {
  const auto pieces = tokenizer();
  const SftTemplate markers(chat_templates::kTigerBot, "", "<|im_end|>");
  const SftExample example = markers.encode(two_turns(), *pieces, "p");
  EXPECT_EQ(pieces->decode(example.ids, false),
            "Be brief.\n\n### Instruction:\nOne?\n\n### Response:\n1<|im_end|>"
            "\n\n### Instruction:\nTwo?\n\n### Response:\n2<|im_end|>");
  EXPECT_EQ(answers(example, *pieces), "1<|im_end|>|2<|im_end|>|");
}

// Templates of the kind that drop what past answers thought.
TEST(SftTemplate, AnswersAreFoundWhereEarlierTurnsAreRewritten) {
  const auto pieces = tokenizer();
  const SftTemplate rewriting(
      "{% for m in messages %}<|im_start|>{{ m.role }}{{ ' (latest)' if loop.last else '' }}\n"
      "{{ m.content }}<|im_end|>\n{% endfor %}"
      "{% if add_generation_prompt %}<|im_start|>assistant (latest)\n{% endif %}",
      "", "<|im_end|>");
  EXPECT_EQ(answers(rewriting.encode(two_turns(), *pieces, "p"), *pieces),
            "1<|im_end|>|2<|im_end|>|");
}

TEST(SftTemplate, ToolsReachTemplatesThatKnowNone) {
  const auto pieces = tokenizer();
  const SftTemplate markers(chat_templates::kTigerBot, "", "<|im_end|>");
  Conversation conversation;
  conversation.tools = json(R"([{"type": "function", "function": {"name": "sum"}}])");
  conversation.messages = json(R"([{"role": "user", "content": "1+1?"},
    {"role": "assistant", "content": "", "tool_calls": [
        {"type": "function", "function": {"name": "sum", "arguments": {}}}]},
    {"role": "tool", "content": "2"}, {"role": "assistant", "content": "Two."}])");
  const SftExample example = markers.encode(conversation, *pieces, "p");
  const std::string text = pieces->decode(example.ids, false);
  EXPECT_NE(text.find("Tools:\n[{\"type\":\"function\""), std::string::npos) << text;
  EXPECT_NE(text.find("<tool_response>\n2\n</tool_response>"), std::string::npos) << text;
  EXPECT_EQ(answers(example, *pieces),
            "<tool_call>\n{\"name\":\"sum\",\"arguments\":{}}\n</tool_call><|im_end|>|"
            "Two.<|im_end|>|");
}

// --- The objective -------------------------------------------------------------------------------

std::vector<SftExample> examples(std::int64_t count) {
  const auto pieces = tokenizer();
  const SftTemplate chatml(chat_templates::kChatMl, "", "<|im_end|>");
  std::vector<SftExample> list;
  for (std::int64_t i = 0; i < count; ++i) {
    Conversation conversation;
    conversation.messages = json(R"([{"role": "user"}, {"role": "assistant"}])");
    conversation.messages[0]["content"] = "count to " + std::to_string(i);
    std::string answer;
    for (std::int64_t k = 0; k <= i % 7; ++k) answer += std::to_string(k) + " ";
    conversation.messages[1]["content"] = answer;
    list.push_back(chatml.encode(conversation, *pieces, "p"));
  }
  return list;
}

/// The gradient of one step over all examples.
std::map<std::string, at::Tensor> gradients(SftOptions options, at::ScalarType dtype) {
  at::set_num_threads(1);
  const auto model = make_decoder(testing::tiny_model_config(), random_weights(3, 0.1), dtype);
  Optimizer optimizer(choose_parameters(*model, {"all"}, "test"), {});
  options.sequence_length = 160;
  options.global_batch_tokens = 160 * 1000;
  options.epochs = 1;
  SftObjective objective(examples(23), {"set"}, options);
  StepBatch step = objective.next_step();
  EXPECT_TRUE(objective.next_step().empty());
  EXPECT_EQ(step.examples, 23);
  optimizer.begin_step(static_cast<std::int64_t>(step.micro_batches.size()));
  for (const MicroBatch& batch : step.micro_batches) {
    torch::autograd::backward({objective.loss(*model, batch).loss}, {});
  }
  std::map<std::string, at::Tensor> result;
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i) {
    result[optimizer.parameters()[i].name] = optimizer.gradient(i).to(at::kDouble).clone();
  }
  return result;
}

TEST(SftObjective, GroupedAloneAndPaddedHaveTheSameGradients) {
  using Options = SftOptions;
  for (const auto average : {Options::Average::kToken, Options::Average::kExample}) {
    Options options;
    options.average = average;
    options.batching = Options::Batching::kOneByOne;
    const auto alone = gradients(options, at::kFloat);
    for (const auto batching : {Options::Batching::kGrouped, Options::Batching::kPadded}) {
      for (const std::int64_t together : {1, 3}) {
        options.batching = batching;
        options.micro_batch_sequences = together;
        for (const auto& [name, gradient] : gradients(options, at::kFloat)) {
          const at::Tensor& expected = alone.at(name);
          const double error = gradient.sub(expected).norm().item<double>();
          EXPECT_LE(error, 2e-6 * expected.norm().item<double>()) << name;
        }
      }
    }
  }
}

TEST(SftObjective, AveragesByTokenAndByExampleDiffer) {
  SftOptions by_token, by_example;
  by_example.average = SftOptions::Average::kExample;
  const auto a = gradients(by_token, at::kFloat);
  const auto b = gradients(by_example, at::kFloat);
  const std::string name = "model.norm.weight";
  EXPECT_GT(a.at(name).sub(b.at(name)).norm().item<double>(),
            0.01 * a.at(name).norm().item<double>());
}

TEST(SftObjective, WeightsOfAStepSumToOneOverAllRanks) {
  for (const auto average : {SftOptions::Average::kToken, SftOptions::Average::kExample}) {
    double sum = 0;
    std::int64_t labels = 0, all = 0;
    for (int rank = 0; rank < 3; ++rank) {
      SftOptions options;
      options.sequence_length = 160;
      options.global_batch_tokens = 160 * 1000;
      options.average = average;
      options.rank = rank;
      options.ranks = 3;
      SftObjective objective(examples(23), {"set"}, options);
      const StepBatch step = objective.next_step();
      all = step.labels;
      for (const MicroBatch& batch : step.micro_batches) {
        for (std::size_t i = 0; i < batch.labels.size(); ++i) {
          if (batch.labels[i] < 0) continue;
          sum += batch.weights[i];
          ++labels;
        }
      }
    }
    EXPECT_NEAR(sum, 1, 1e-5);
    EXPECT_EQ(labels, all);
  }
}

TEST(SftObjective, GoesOnFromAPosition) {
  SftOptions options;
  options.sequence_length = 160;
  options.global_batch_tokens = 320;
  options.seed = 9;
  SftObjective first(examples(23), {"set"}, options);
  std::vector<std::vector<TokenId>> steps;
  std::vector<Json> positions;
  while (true) {
    positions.push_back(first.position());
    const StepBatch step = first.next_step();
    if (step.empty()) break;
    steps.push_back(step.micro_batches.front().ids);
  }
  EXPECT_EQ(static_cast<std::int64_t>(steps.size()), first.steps());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    SftObjective second(examples(23), {"set"}, options);
    second.seek(positions[i]);
    EXPECT_EQ(second.next_step().micro_batches.front().ids, steps[i]) << i;
  }
  SftObjective other(examples(22), {"set"}, options);
  EXPECT_NE(error_of([&] { other.seek(positions[1]); }).find("data"), std::string::npos);
}

TEST(SftObjective, LongRowsAreCutOrDroppedAndCounted) {
  const ScratchFolder folder;
  write_file(folder / "rows.jsonl",
             "{\"instruction\": \"a\", \"output\": \"short\"}\n"
             "{\"instruction\": \"a\", \"output\": \"" +
                 std::string(200, 'x') +
                 "\"}\n"
                 "{\"instruction\": \"" +
                 std::string(200, 'y') + "\", \"output\": \"never seen\"}\n");
  const auto pieces = tokenizer();
  const SftTemplate chatml(chat_templates::kChatMl, "", "<|im_end|>");
  for (const auto too_long : {SftOptions::TooLong::kCut, SftOptions::TooLong::kDrop}) {
    SftOptions options;
    options.sequence_length = 64;
    options.too_long = too_long;
    std::vector<SftCounts> counts;
    const auto rows =
        read_sft_examples({{"set", folder / "rows.jsonl"}}, chatml, *pieces, options, counts);
    const bool cuts = too_long == SftOptions::TooLong::kCut;
    EXPECT_EQ(rows.size(), cuts ? 2U : 1U);
    EXPECT_EQ(counts[0].rows, 3);
    EXPECT_EQ(counts[0].cut, cuts ? 1 : 0);
    EXPECT_EQ(counts[0].dropped, cuts ? 1 : 2);
    for (const SftExample& row : rows) EXPECT_LE(row.ids.size(), 64U);
  }
}

}  // namespace
}  // namespace tigerbot::train
