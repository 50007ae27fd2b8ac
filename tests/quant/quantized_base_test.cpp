// Adapters on a quantized base: their gradients, whole runs, and what merging makes of them.

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/expect_error.h"
#include "base/text.h"
#include "model/decoder.h"
#include "model/hashed_weights.h"
#include "ops/quantized_parts.h"
#include "parallel/communicator.h"
#include "quant/quantize_model.h"
#include "quant/tiny_model.h"
#include "train/checkpoint.h"
#include "train/export.h"
#include "train/objective.h"
#include "train/trainer.h"
#include "weights/convert.h"
#include "weights/files_for_tests.h"

namespace tigerbot::quant {
namespace {

using tigerbot::testing::error_of;
using train::LoraAdapters;
using train::TrainedParameter;

// --- Gradients -----------------------------------------------------------------------------------

enum class Format { kGptq, kGptqActivationOrder, kW8A16, kQ4_1, kQ3_K, kQ4_K };

ops::QuantizedParts parts_of(Format format, std::int64_t out, std::int64_t in) {
  switch (format) {
    case Format::kGptq:
      return random_parts(4, out, in, 32);
    case Format::kGptqActivationOrder:
      return random_parts(4, out, in, 64, Groups::kShuffled);
    case Format::kW8A16:
      return symmetric_parts(8, out, in, in);
    case Format::kQ4_1: {
      ops::QuantizedParts parts = offset_parts(4, out, in, 32);
      parts.offsets = parts.offsets * 0.1 - parts.scales * 7.5;  // weights about 0
      return parts;
    }
    case Format::kQ3_K:
      return super_parts(3, out, in, 16, false);
    case Format::kQ4_K: {
      ops::QuantizedParts parts = super_parts(4, out, in, 32, true);
      parts.super_offsets = parts.super_offsets * 0.05;
      return parts;
    }
  }
  return {};
}

/// The same weight however often it is asked for.
ops::QuantizedWeight weight_of(Format format, const std::string& name,
                               const std::vector<std::int64_t>& shape) {
  at::manual_seed(std::hash<std::string>()(name) % 1000);
  ops::QuantizedParts parts = parts_of(format, shape[0], shape[1]);
  // As large as weights are: 1 / sqrt(in_features).
  const double factor =
      1 / (plain_weight(parts).std().item<double>() * std::sqrt(static_cast<double>(shape[1])));
  const bool super = parts.super_scales.defined();
  for (at::Tensor* each : super ? std::vector{&parts.super_scales, &parts.super_offsets}
                                : std::vector{&parts.scales, &parts.offsets}) {
    if (each->defined()) *each = *each * factor;
  }
  return ops::QuantizedWeight(parts);
}

ModelConfig wide_config() {
  ModelConfig config = tiny_config(ModelConfig::Family::kLlama);
  config.hidden_size = 256;
  config.intermediate_size = 512;
  config.head_dim = 64;
  return config;
}

bool is_layer(const std::string& name) { return name.find("_proj") != std::string::npos; }

/// A decoder with adapters of no zeros, its layers quantized or as their dense numbers.
struct Adapted {
  Adapted(Format format, bool quantized, at::ScalarType dtype) {
    const TensorSource dense = [format](const std::string& name,
                                        const std::vector<std::int64_t>& shape) {
      return is_layer(name) ? weight_of(format, name, shape).dequantize(at::kFloat)
                            : hashed_parameter(name, shape);
    };
    const QuantizedSource packed = [format](const std::string& name,
                                            const std::vector<std::int64_t>& shape) {
      return is_layer(name) ? weight_of(format, name, shape) : ops::QuantizedWeight();
    };
    model = make_decoder(wide_config(), dense, dtype, at::kCPU, quantized ? packed : nullptr);
    for (const Linear* linear : model->linears()) EXPECT_EQ(linear->is_quantized(), quantized);
    train::LoraOptions options;
    options.rank = 4;
    options.alpha = 1;
    options.target_modules = {"all-linear"};
    adapters = std::make_unique<LoraAdapters>(*model, options);
    const at::NoGradGuard no_grad;
    for (const TrainedParameter& parameter : adapters->parameters()) {
      EXPECT_EQ(parameter.tensor->scalar_type(), dtype);
      parameter.tensor->copy_(hashed_parameter(parameter.name, parameter.shape));
    }
  }

  at::Tensor loss() const {
    const at::Tensor ids = at::arange(24, at::kInt).remainder(90);
    const at::Tensor hidden = model->forward(ids, make_sequences({14, 10}, at::kCPU));
    const at::Tensor labels = (at::arange(24, at::kLong) * 7 + 3).remainder(96);
    return ops::cross_entropy(hidden, model->output_weight(), labels).loss;
  }

  std::map<std::string, at::Tensor> gradients() const {
    loss().backward();
    std::map<std::string, at::Tensor> result;
    for (const TrainedParameter& parameter : adapters->parameters()) {
      result[parameter.name] = parameter.tensor->grad().to(at::kDouble);
    }
    return result;
  }

  std::unique_ptr<Decoder> model;
  std::unique_ptr<LoraAdapters> adapters;
};

class QuantizedBase : public ::testing::TestWithParam<Format> {};

TEST_P(QuantizedBase, AdaptersHaveTheGradientsOfTheDenseBaseInFloat64) {
  const auto expected = Adapted(GetParam(), false, at::kDouble).gradients();
  const auto ours = Adapted(GetParam(), true, at::kFloat).gradients();
  ASSERT_EQ(expected.size(), 2 * 2 * 7U);
  double longest = 0;
  for (const auto& [name, gradient] : expected) {
    longest = std::max(longest, gradient.norm().item<double>());
  }
  for (const auto& [name, gradient] : expected) {
    const double length = gradient.norm().item<double>();
    EXPECT_LT((ours.at(name) - gradient).norm().item<double>(), 2e-4 * length + 2e-6 * longest)
        << name;
  }
}

TEST_P(QuantizedBase, AdaptersHaveTheGradientsOfTheDenseBaseInBfloat16) {
  const auto expected = Adapted(GetParam(), false, at::kBFloat16).gradients();
  const auto ours = Adapted(GetParam(), true, at::kBFloat16).gradients();
  for (const auto& [name, gradient] : expected) {
    const double length = gradient.norm().item<double>();
    EXPECT_GT(length, 0) << name;
    EXPECT_LT((ours.at(name) - gradient).norm().item<double>(), 0.01 * length) << name;
  }
}

TEST_P(QuantizedBase, AdaptersGradientsAreTheSlopesOfTheLoss) {
  const Adapted adapted(GetParam(), true, at::kFloat);
  const auto gradients = adapted.gradients();
  const at::NoGradGuard no_grad;
  for (const TrainedParameter& parameter : adapted.adapters->parameters()) {
    constexpr double kStep = 0.05;
    // Along the gradient the slope is largest, and float32's rounding of the loss least.
    const at::Tensor& gradient = gradients.at(parameter.name);
    const double length = gradient.norm().item<double>();
    const at::Tensor step = (gradient / length * kStep).to(at::kFloat);
    const at::Tensor start = parameter.tensor->clone();
    const auto loss = [&](double factor) {
      parameter.tensor->copy_(start + step * factor);
      // As training runs it: rounded activations are inference's.
      const at::AutoGradMode with_gradients(true);
      return adapted.loss().to(at::kDouble).item<double>();
    };
    // Central differences of the fourth order.
    const double slope = (8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * kStep);
    parameter.tensor->copy_(start);
    EXPECT_NEAR(slope, length, 0.02 * length + 1e-3) << parameter.name;
  }
}

TEST_P(QuantizedBase, CheckpointedActivationsGiveTheSameBits) {
  const auto plain = Adapted(GetParam(), true, at::kBFloat16).gradients();
  Adapted again(GetParam(), true, at::kBFloat16);
  again.model->set_activation_checkpointing(ActivationCheckpointing::kFull);
  for (const auto& [name, gradient] : again.gradients()) {
    EXPECT_TRUE(at::equal(gradient, plain.at(name))) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, QuantizedBase,
                         ::testing::Values(Format::kGptq, Format::kGptqActivationOrder,
                                           Format::kW8A16, Format::kQ4_1, Format::kQ3_K,
                                           Format::kQ4_K));

// --- Whole runs ----------------------------------------------------------------------------------

struct QuantizedBaseRun : ::testing::Test {
  void SetUp() override {
    write_tiny_model(folder / "model");
    std::string rows;
    for (int i = 0; i < 30; ++i) {
      rows += fmt::format(R"({{"instruction": "say {0}", "output": "{0}!{0}"}})"
                          "\n",
                          i * 7 % 10);
    }
    put_file(folder / "rows.jsonl", rows);
    put_file(folder / "chat.jinja",
             "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}");
  }

  void quantize(const std::string& out, Method method = Method::kRoundToNearest) {
    QuantizeOptions options;
    options.method = method;
    options.gptq.grid.group_size = 32;
    if (method == Method::kW8A16) options.gptq.grid.bits = 8;
    if (out.ends_with(".gguf")) {
      quantize_to_gguf(folder / "model", folder / out, options);
    } else {
      quantize_model(folder / "model", folder / out, options);
    }
  }

  train::Recipe recipe(const std::string& base, const std::string& out, const std::string& lora) {
    const auto file = folder / (out + ".toml");
    put_file(file, fmt::format(R"(
output = "{}"
[model]
path = "{}"
dtype = "float32"
{}
[data]
objective = "sft"
template = "chat.jinja"
sequence_length = 64
epochs = 4
[[data.source]]
path = "rows.jsonl"
[train]
steps = 12
global_batch_tokens = 256
learning_rate = 2e-2
[checkpoint]
every_steps = 5
)",
                               out, base, lora));
    return train::read_recipe(file);
  }

  std::filesystem::path train_on(const std::string& base, const std::string& out) {
    at::set_num_threads(1);
    return train::train(recipe(base, out, kLora), *make_solo_communicator()).model;
  }

  std::vector<double> losses(const std::string& out) {
    std::vector<double> list;
    const std::string text = get_file(folder / out / "metrics.jsonl");
    for (const std::string_view line : split(text, '\n')) {
      if (line.empty()) continue;
      const Json json = parse_json(line, "metrics");
      if (json.at("kind") == "train") list.push_back(json.at("loss").get<double>());
    }
    return list;
  }

  static constexpr const char* kLora = "[lora]\nrank = 4\ntarget_modules = [\"all-linear\"]\n";
  TemporaryFolder folder;
};

TEST_F(QuantizedBaseRun, LearnsAsOnTheSameWeightsInFloat32) {
  quantize("4bit");
  quantize("8bit", Method::kW8A16);
  quantize("4bit.gguf");
  for (const char* base : {"4bit", "8bit", "4bit.gguf"}) {
    const std::string dense = std::string(base) + "-dense";
    ConvertOptions convert;
    convert.dtype = at::kFloat;
    convert_model(folder / base, folder / dense, convert);
    const auto adapter = train_on(base, std::string(base) + "-run");
    train_on(dense, dense + "-run");
    const auto ours = losses(std::string(base) + "-run");
    const auto expected = losses(dense + "-run");
    ASSERT_EQ(ours.size(), 12U);
    EXPECT_LT(ours.back(), ours.front() - 0.3) << base;
    for (std::size_t i = 0; i < ours.size(); ++i) EXPECT_NEAR(ours[i], expected[i], 0.02) << base;
    const Json config = read_json_file(adapter / "adapter_config.json");
    EXPECT_EQ(config.at("base_model_name_or_path"), (folder / base).string());
  }
}

TEST_F(QuantizedBaseRun, MergesOntoTheDequantizedWeightsAndQuantizesAgain) {
  quantize("4bit");
  const auto adapter = train_on("4bit", "run");
  train::export_merged(adapter, "", folder / "merged");
  const auto checkpoint = train::list_checkpoints(folder / "run/checkpoints").back();
  train::export_checkpoint(checkpoint, folder / "merged-too", true);
  const ModelFiles base = open_model(folder / "4bit");
  const ModelFiles merged = open_model(folder / "merged");
  EXPECT_FALSE(merged.gptq);
  const ModelFiles merged_too = open_model(folder / "merged-too");
  const auto model = make_decoder(base.config, base.source(at::kFloat), at::kFloat);
  LoraAdapters::load(*model, adapter)->merge(*model);
  for (const Parameter& parameter : model->parameters()) {
    const at::Tensor before = base.source(at::kFloat)(parameter.name, parameter.shape);
    EXPECT_EQ(at::equal(*parameter.tensor, before), !is_layer(parameter.name)) << parameter.name;
    for (const ModelFiles* files : {&merged, &merged_too}) {
      EXPECT_TRUE(
          at::equal(files->source(at::kFloat)(parameter.name, parameter.shape), *parameter.tensor))
          << parameter.name;
    }
  }
  // In one command, and in two.
  QuantizeOptions options;
  options.method = Method::kRoundToNearest;
  options.gptq.grid.group_size = 32;
  options.adapter = adapter;
  quantize_model(folder / "4bit", folder / "again", options);
  options.adapter = "";
  quantize_model(folder / "merged", folder / "again-too", options);
  EXPECT_EQ(get_file(folder / "again/model.safetensors"),
            get_file(folder / "again-too/model.safetensors"));
  EXPECT_TRUE(open_model(folder / "again").gptq);
  // Into another base than its own: the one before it was quantized.
  train::export_merged(adapter, folder / "model", folder / "merged-dense");
  EXPECT_NE(get_file(folder / "merged-dense/model.safetensors"),
            get_file(folder / "merged/model.safetensors"));
}

TEST_F(QuantizedBaseRun, GoesOnFromACheckpointToTheSameBits) {
  quantize("4bit");
  train_on("4bit", "whole");
  train_on("4bit", "cut");
  const auto adapter = folder / "cut/adapter";
  std::filesystem::remove_all(adapter);
  std::filesystem::remove_all(folder / "cut/checkpoints/step-00000012");
  EXPECT_EQ(train::list_checkpoints(folder / "cut/checkpoints").size(), 2U);
  train_on("4bit", "cut");
  EXPECT_EQ(get_file(adapter / "adapter_model.safetensors"),
            get_file(folder / "whole/adapter/adapter_model.safetensors"));
}

TEST_F(QuantizedBaseRun, ThePlanCountsTheWeightsAsTheyAreHeld) {
  quantize("4bit");
  const auto weights = [&](const std::string& base) {
    const Json plan = train::plan_run(recipe(base, "plan", kLora), *make_solo_communicator());
    EXPECT_GT(plan.at("step_seconds").get<double>(), 0);
    return plan.at("memory").at("weights").get<double>();
  };
  // Embedding, 96 x 64, and norms stay float32.
  const double others = 4 * (96 * 64 + 5 * 64);
  EXPECT_LT((weights("4bit") - others) / (weights("model") - others), 0.25);
}

TEST_F(QuantizedBaseRun, WithoutAdaptersIsOneLine) {
  quantize("4bit");
  const auto run = [&](const std::string& lora) {
    return error_of(
        [&] { train::train(recipe("4bit", "never", lora), *make_solo_communicator()); });
  };
  EXPECT_NE(run("").find("is quantized to 4 bits, and quantized weights do not train; add [lora]"),
            std::string::npos);
  EXPECT_NE(run("trainable = [\"model.embed_tokens.weight\"]").find("add [lora]"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(folder / "never"));
}

}  // namespace
}  // namespace tigerbot::quant
