// Training runs beside PyTorch's (tests/golden/train.py): same weights, same data, same optimizer.

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/equal.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

#include "base/json.h"
#include "model/hashed_weights.h"
#include "train/lora.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "weights/safetensors.h"

namespace tigerbot::train {
namespace {

const Json& golden() {
  static const Json kGolden =
      read_json_file(std::string(TIGERBOT_SOURCE_DIR) + "/tests/golden/train.json");
  return kGolden;
}

/// Gradients of each run's first step, "RUN/PARAMETER".
const TensorSet& golden_gradients() {
  static const TensorSet kGradients = open_safetensors(std::string(TIGERBOT_SOURCE_DIR) +
                                                       "/tests/golden/train_gradients.safetensors");
  return kGradients;
}

/// A step's rows as one micro-batch, or one for each row.
std::vector<MicroBatch> batches_of(const Json& rows, bool apart) {
  std::vector<MicroBatch> batches;
  std::int64_t labels = 0;
  for (const Json& row : rows) {
    if (apart || batches.empty()) batches.emplace_back();
    MicroBatch& batch = batches.back();
    const auto ids = row.at("ids").get<std::vector<TokenId>>();
    const auto first = row.at("first").get<std::size_t>();
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
    for (std::size_t i = 0; i < ids.size(); ++i) {
      const bool counts = i + 1 >= first && i + 1 < ids.size();
      batch.labels.push_back(counts ? ids[i + 1] : -100);
      labels += counts ? 1 : 0;
    }
    batch.lengths.push_back(static_cast<std::int64_t>(ids.size()));
    batch.sources.push_back(0);
  }
  for (MicroBatch& batch : batches) {
    batch.weights.assign(batch.ids.size(), 1.0F / static_cast<float>(labels));
  }
  return batches;
}

double projection(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().flatten().to(at::kDouble);
  return at::dot(flat, hashed_uniform(name + ".direction", flat.numel()).to(at::kDouble))
      .item<double>();
}

/// What a run came to.
struct Outcome {
  std::vector<double> losses, norms;
  std::map<std::string, at::Tensor> gradients;  // of step 1
  std::map<std::string, double> weights;
};

Outcome train_on(Decoder& model, std::vector<TrainedParameter> parameters, const Json& steps,
                 bool apart) {
  at::set_num_threads(1);  // models too small for more
  Optimizer optimizer(std::move(parameters), {});
  const Json& times = golden().at("schedule");
  Schedule schedule;
  schedule.learning_rate = times.at("learning_rate");
  schedule.final_learning_rate = times.at("final_learning_rate");
  schedule.warmup_steps = times.at("warmup_steps");
  schedule.total_steps = times.at("total_steps");
  Outcome outcome;
  std::int64_t number = 0;
  for (const Json& rows : steps) {
    const std::vector<MicroBatch> batches = batches_of(rows, apart);
    optimizer.begin_step(static_cast<std::int64_t>(batches.size()));
    double loss = 0;
    for (const MicroBatch& batch : batches) {
      const BatchLoss result = language_model_loss(model, batch);
      torch::autograd::backward({result.loss}, {});
      loss += result.loss.item<double>();
    }
    const double norm = optimizer.gradient_norm();
    if (++number == 1) {
      for (std::size_t i = 0; i < optimizer.parameters().size(); ++i) {
        const std::string& name = optimizer.parameters()[i].name;
        const at::Tensor gradient = optimizer.gradient(i);
        if (!gradient.defined()) throw std::runtime_error("no gradient of " + name);
        outcome.gradients[name] = gradient.clone();
      }
    }
    optimizer.step(learning_rate(schedule, number), norm);
    outcome.losses.push_back(loss);
    outcome.norms.push_back(norm);
  }
  for (const TrainedParameter& parameter : optimizer.parameters()) {
    outcome.weights[parameter.name] = projection(parameter.name, *parameter.tensor);
  }
  return outcome;
}

void expect_same_run(const Outcome& ours, const Json& theirs, const std::string& what) {
  const auto losses = theirs.at("losses").get<std::vector<double>>();
  const auto norms = theirs.at("gradient_norms").get<std::vector<double>>();
  ASSERT_EQ(ours.losses.size(), losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i) {
    EXPECT_NEAR(ours.losses[i], losses[i], 1e-5) << what << " step " << i + 1;
    EXPECT_NEAR(ours.norms[i] / norms[i], 1, 1e-4) << what << " step " << i + 1;
  }
  const std::string run = theirs.at("name").get<std::string>() + "/";
  std::size_t compared = 0;
  for (const StoredTensor& stored : golden_gradients().tensors()) {
    if (!stored.name.starts_with(run)) continue;
    ++compared;
    const std::string name = stored.name.substr(run.size());
    const auto found = ours.gradients.find(name);
    ASSERT_NE(found, ours.gradients.end()) << name;
    const at::Tensor gradient = stored.load(at::kFloat);
    ASSERT_EQ(found->second.sizes(), gradient.sizes()) << name;
    // Element by element, relative to the tensor's largest: small ones are sums of large ones.
    const double largest = gradient.abs().max().item<double>();
    const double apart = (found->second - gradient).abs().max().item<double>();
    EXPECT_LE(apart, 1e-5 * largest) << what << " " << name;
  }
  EXPECT_EQ(compared, ours.gradients.size()) << what;
  for (const auto& [name, weight] : theirs.at("weights").items()) {
    EXPECT_NEAR(ours.weights.at(name), weight.get<double>(), 2e-4) << what << " " << name;
  }
}

ModelConfig config_of(const Json& row) {
  return parse_model_config(row.at("config").dump(), row.at("name").get<std::string>());
}

std::unique_ptr<Decoder> model_of(const Json& row, at::ScalarType dtype) {
  return make_decoder(config_of(row), hashed_source(), dtype);
}

TEST(GoldenTraining, LossesGradientsAndWeightsArePyTorchs) {
  for (const Json& row : golden().at("full")) {
    const auto model = model_of(row, at::kFloat);
    auto parameters = choose_parameters(*model, {"all"}, "test");
    expect_same_run(train_on(*model, std::move(parameters), row.at("steps"), false), row,
                    row.at("name"));
  }
}

TEST(GoldenTraining, AddingUpMicroBatchesGivesTheSame) {
  for (const Json& row : golden().at("full")) {
    const auto model = model_of(row, at::kFloat);
    auto parameters = choose_parameters(*model, {"all"}, "test");
    expect_same_run(train_on(*model, std::move(parameters), row.at("steps"), true), row,
                    row.at("name"));
  }
}

TEST(GoldenTraining, CheckpointedActivationsGiveTheSameBits) {
  for (const Json& row : golden().at("full")) {
    std::vector<Outcome> outcomes;
    for (const auto kind : {ActivationCheckpointing::kNone, ActivationCheckpointing::kSelective,
                            ActivationCheckpointing::kFull}) {
      const auto model = model_of(row, at::kFloat);
      model->set_activation_checkpointing(kind);
      outcomes.push_back(
          train_on(*model, choose_parameters(*model, {"all"}, "test"), row.at("steps"), false));
    }
    for (std::size_t i = 1; i < outcomes.size(); ++i) {
      EXPECT_EQ(outcomes[i].losses, outcomes[0].losses) << row.at("name") << " " << i;
      for (const auto& [name, gradient] : outcomes[0].gradients) {
        EXPECT_TRUE(at::equal(outcomes[i].gradients.at(name), gradient)) << row.at("name") << name;
      }
    }
  }
}

// PyTorch's own bfloat16 run strays this far from its float32 one; ours may stray twice as far.
TEST(GoldenTraining, Bfloat16StraysNoFurtherThanPyTorchs) {
  for (const Json& row : golden().at("full")) {
    const auto wide = row.at("losses").get<std::vector<double>>();
    const auto narrow = row.at("losses_bfloat16").get<std::vector<double>>();
    double noise = 0;
    for (std::size_t i = 0; i < wide.size(); ++i) {
      noise = std::max(noise, std::fabs(narrow[i] - wide[i]));
    }
    const auto model = model_of(row, at::kBFloat16);
    const Outcome ours =
        train_on(*model, choose_parameters(*model, {"all"}, "test"), row.at("steps"), true);
    for (std::size_t i = 0; i < wide.size(); ++i) {
      EXPECT_NEAR(ours.losses[i], wide[i], 2 * noise) << row.at("name") << " step " << i + 1;
    }
  }
}

TEST(GoldenTraining, LowRankAdaptersTrainAsPeftsDo) {
  for (const Json& row : golden().at("lora")) {
    const auto model = model_of(row, at::kFloat);
    LoraOptions options;
    options.rank = row.at("rank");
    options.alpha = row.at("alpha");
    options.target_modules = row.at("target_modules").get<std::vector<std::string>>();
    LoraAdapters adapters(*model, options);
    {
      const at::NoGradGuard no_grad;
      for (const TrainedParameter& parameter : adapters.parameters()) {
        parameter.tensor->copy_(hashed_parameter(parameter.name, parameter.shape));
      }
    }
    expect_same_run(train_on(*model, adapters.parameters(), row.at("steps"), false), row,
                    row.at("name"));
  }
}

TEST(GoldenTraining, MergedAdaptersAnswerAsTheApplied) {
  const Json& row = golden().at("lora").front();
  const auto model = model_of(row, at::kFloat);
  LoraOptions options;
  options.rank = 3;
  options.target_modules = {"all-linear"};
  LoraAdapters adapters(*model, options);
  const at::NoGradGuard no_grad;
  for (const TrainedParameter& parameter : adapters.parameters()) {
    parameter.tensor->copy_(hashed_parameter(parameter.name, parameter.shape));
  }
  const MicroBatch batch = batches_of(row.at("steps").front(), false).front();
  const double before = language_model_loss(*model, batch).loss.item<double>();
  adapters.merge(*model);
  EXPECT_NEAR(language_model_loss(*model, batch).loss.item<double>(), before, 1e-5);
  for (const Linear* linear : model->linears()) EXPECT_FALSE(linear->has_adapter());
}

}  // namespace
}  // namespace tigerbot::train
