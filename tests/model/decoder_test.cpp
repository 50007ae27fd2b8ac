#include "model/decoder.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "model/golden.h"
#include "model/hashed_weights.h"
#include "model/test_cache.h"

namespace tigerbot {
namespace {

/// The rows of a golden sequence that its file keeps.
std::vector<std::pair<std::int64_t, at::Tensor>> stored_rows(const Json& sequence) {
  std::vector<std::pair<std::int64_t, at::Tensor>> rows;
  for (std::size_t i = 0; i < sequence.at("positions").size(); ++i) {
    rows.emplace_back(sequence.at("positions")[i].get<std::int64_t>(),
                      tensor_of(sequence.at("logits")[i].get<std::vector<float>>()));
  }
  return rows;
}

at::Tensor whole_logits(Decoder& decoder, const at::Tensor& ids, const Sequences& sequences) {
  return decoder.logits(decoder.forward(ids, sequences));
}

/// Logits of every token when the sequences come in chunks of these sizes, the last size repeated;
/// sequence i begins i steps late, so that steps mix prefill and decode.
at::Tensor chunked_logits(Decoder& decoder, const GoldenBatch& batch,
                          const std::vector<std::int64_t>& chunks, at::ScalarType dtype) {
  const std::int64_t n = batch.sequences.count();
  const std::int64_t longest = *std::max_element(batch.lengths.begin(), batch.lengths.end());
  TestCache cache(decoder.config(), n, longest, dtype);
  std::vector<std::vector<at::Tensor>> logits(static_cast<std::size_t>(n));
  for (std::int64_t step = 0;; ++step) {
    std::vector<std::int64_t> which, counts;
    std::vector<at::Tensor> ids;
    bool done = true;
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t left = batch.lengths[static_cast<std::size_t>(i)] - cache.held(i);
      done = done && left == 0;
      if (left == 0 || step < i) continue;
      const auto turn = std::min(static_cast<std::size_t>(step - i), chunks.size() - 1);
      const std::int64_t count = std::min(left, chunks[turn]);
      const std::int64_t first =
          batch.sequences.cu_seqlens[static_cast<std::size_t>(i)] + cache.held(i);
      which.push_back(i);
      counts.push_back(count);
      ids.push_back(batch.ids.slice(0, first, first + count));
    }
    if (done) break;
    if (which.empty()) continue;
    const auto [sequences, step_cache] = cache.step(which, counts);
    const at::Tensor out = decoder.logits(decoder.forward(at::cat(ids), sequences, step_cache));
    for (std::size_t i = 0; i < which.size(); ++i) {
      logits[static_cast<std::size_t>(which[i])].push_back(
          out.slice(0, sequences.cu_seqlens[i], sequences.cu_seqlens[i + 1]));
    }
  }
  std::vector<at::Tensor> all;
  for (const auto& parts : logits) all.push_back(at::cat(parts));
  return at::cat(all);
}

struct Golden {
  Json row;
};

/// The name in failure messages, where the whole row would fill the screen.
void PrintTo(const Golden& golden, std::ostream* out) { *out << golden.row.at("name"); }

class EveryDecoder : public testing::TestWithParam<Golden> {
 protected:
  const Json& row() const { return GetParam().row; }
  at::NoGradGuard no_grad_;
};

TEST_P(EveryDecoder, GivesTransformersLogitsInFloat32) {
  const auto decoder = make_decoder(golden_config(row()), hashed_source(), at::kFloat);
  const GoldenBatch batch = golden_batch(row());
  const at::Tensor logits = whole_logits(*decoder, batch.ids, batch.sequences);
  double largest = 0;
  for (std::int64_t i = 0; i < batch.sequences.count(); ++i) {
    for (const auto& [position, expected] : stored_rows(row().at("sequences")[i])) {
      const double error =
          relative_error(logits[batch.sequences.cu_seqlens[i] + position], expected);
      EXPECT_LT(error, 1e-5) << "sequence " << i << " position " << position;
      largest = std::max(largest, error);
    }
  }
  RecordProperty("error", std::to_string(largest * 1e6) + "e-6");
}

/// Root mean square distance of our bfloat16 logits from our float32 ones, over transformers'.
double bfloat16_error_ratio(const Json& row) {
  const GoldenBatch batch = golden_batch(row);
  const auto logits = [&](at::ScalarType dtype) {
    const auto decoder = make_decoder(golden_config(row), hashed_source(), dtype);
    return whole_logits(*decoder, batch.ids, batch.sequences).to(at::kDouble);
  };
  const double rms =
      (logits(at::kBFloat16) - logits(at::kFloat)).pow(2).mean().sqrt().item<double>();
  return rms / row.at("bfloat16_rms_error").get<double>();
}

TEST(Decoder, StraysInBfloat16NoFurtherThanTransformers) {
  const at::NoGradGuard no_grad;
  double sum_of_logs = 0;
  const Json rows = read_golden("decoders");
  for (const Json& row : rows) {
    const double ratio = bfloat16_error_ratio(row);
    const auto name = row.at("name").get<std::string>();
    RecordProperty(name, std::to_string(ratio));
    EXPECT_LT(ratio, 1.25) << name;  // a few hundred logits: their errors alone differ by this much
    EXPECT_GT(ratio, 0.0) << name;
    sum_of_logs += std::log(ratio);
  }
  EXPECT_LT(std::exp(sum_of_logs / static_cast<double>(rows.size())), 1.0);
}

TEST_P(EveryDecoder, DoesNotLetSequencesOfABatchSeeEachOther) {
  const auto decoder = make_decoder(golden_config(row()), hashed_source(), at::kFloat);
  const GoldenBatch batch = golden_batch(row());
  const at::Tensor together = whole_logits(*decoder, batch.ids, batch.sequences);
  for (std::int64_t i = 0; i < batch.sequences.count(); ++i) {
    const auto begin = batch.sequences.cu_seqlens[i], end = batch.sequences.cu_seqlens[i + 1];
    const at::Tensor alone =
        whole_logits(*decoder, batch.ids.slice(0, begin, end), make_sequences({end - begin}));
    EXPECT_LT(relative_error(together.slice(0, begin, end), alone), 2e-6);
  }
}

TEST_P(EveryDecoder, GivesTheSameThroughThePagedCache) {
  ModelConfig config = golden_config(row());
  // Dynamic scaling turns past keys by an older base: only up to the trained length is it one.
  if (config.rope_scaling.kind == RopeScaling::Kind::kDynamic) config.max_position_embeddings = 64;
  const auto decoder = make_decoder(config, hashed_source(), at::kFloat);
  const GoldenBatch batch = golden_batch(row());
  const at::Tensor whole = whole_logits(*decoder, batch.ids, batch.sequences);
  const std::vector<std::vector<std::int64_t>> ways = {{1000}, {5, 3, 1}, {1}, {17}};
  for (const auto& chunks : ways) {
    EXPECT_LT(relative_error(chunked_logits(*decoder, batch, chunks, at::kFloat), whole), 1e-5)
        << "chunks of " << chunks.front();
  }
}

TEST_P(EveryDecoder, GivesOnlyTheRowsThatAStepWants) {
  const auto decoder = make_decoder(golden_config(row()), hashed_source(), at::kFloat);
  const std::vector<std::int64_t> ids = {5, 1, 7, 2, 9, 3, 4};
  const auto hidden = [&](const std::optional<std::vector<std::int64_t>>& rows) {
    TestCache cache(decoder->config(), 2, 16, at::kFloat);
    const auto [sequences, step] = cache.step({0, 1}, {4, 3});
    step->output_rows = rows;
    return decoder->forward(tensor_of(ids), sequences, step);
  };
  const at::Tensor all = hidden(std::nullopt);
  ASSERT_EQ(all.size(0), 7);
  const at::Tensor wanted = hidden(std::vector<std::int64_t>{3, 5});
  ASSERT_EQ(wanted.size(0), 2);
  EXPECT_TRUE(wanted[0].equal(all[3]));
  EXPECT_TRUE(wanted[1].equal(all[5]));
  EXPECT_EQ(hidden(std::vector<std::int64_t>{}).size(0), 0);
}

TEST_P(EveryDecoder, ListsEachParameterOnceAndInOneType) {
  const auto decoder = make_decoder(golden_config(row()), hashed_source(), at::kBFloat16);
  std::map<std::string, int> seen;
  for (const Parameter& parameter : decoder->parameters()) {
    EXPECT_EQ(++seen[parameter.name], 1) << parameter.name;
    EXPECT_EQ(parameter.tensor->scalar_type(), at::kBFloat16);
    EXPECT_EQ(parameter.tensor->sizes().vec(), parameter.shape);
  }
  EXPECT_EQ(seen.contains("lm_head.weight"), !decoder->config().tie_word_embeddings);
}

std::vector<Golden> goldens() {
  std::vector<Golden> out;
  for (const Json& row : read_golden("decoders")) out.push_back({row});
  return out;
}

INSTANTIATE_TEST_SUITE_P(, EveryDecoder, testing::ValuesIn(goldens()), [](const auto& info) {
  return info.param.row.at("name").template get<std::string>();
});

TEST(Decoder, RefusesAnEncodersConfig) {
  const ModelConfig config = golden_config(read_golden("encoders")[0]);
  EXPECT_THROW(make_decoder(config, hashed_source(), at::kFloat), Error);
}

}  // namespace

}  // namespace tigerbot
