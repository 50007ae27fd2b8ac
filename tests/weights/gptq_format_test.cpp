#include "weights/gptq_format.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "base/files.h"
#include "weights/files_for_tests.h"
#include "weights/safetensors.h"

namespace tigerbot {
namespace {

template <typename T>
at::Tensor matrix(const Json& rows, at::ScalarType type) {
  const auto height = static_cast<std::int64_t>(rows.size());
  const auto width = static_cast<std::int64_t>(rows.at(0).size());
  at::Tensor tensor = at::empty({height, width}, type);
  for (std::int64_t i = 0; i < height; ++i) {
    for (std::int64_t j = 0; j < width; ++j) {
      tensor.mutable_data_ptr<T>()[i * width + j] =
          rows.at(static_cast<std::size_t>(i)).at(static_cast<std::size_t>(j)).get<T>();
    }
  }
  return tensor;
}

struct GoldenLayer {
  GptqConfig config;
  GptqTensors tensors;
  at::Tensor weight;
};

GoldenLayer golden_layer(const Json& row) {
  GoldenLayer layer;
  layer.config.bits = row.at("bits").get<int>();
  layer.config.group_size = row.at("group_size").get<std::int64_t>();
  layer.config.desc_act = row.at("act_order").get<bool>();
  layer.config.zeros_less_one = row.at("version").get<int>() == 1;
  layer.tensors.qweight = matrix<std::int32_t>(row.at("qweight"), at::kInt);
  layer.tensors.qzeros = matrix<std::int32_t>(row.at("qzeros"), at::kInt);
  layer.tensors.scales = matrix<float>(row.at("scales"), at::kFloat).to(at::kHalf);
  const auto groups = row.at("g_idx").get<std::vector<std::int32_t>>();
  layer.tensors.g_idx = at::empty({static_cast<std::int64_t>(groups.size())}, at::kInt);
  std::copy(groups.begin(), groups.end(), layer.tensors.g_idx.mutable_data_ptr<std::int32_t>());
  layer.weight = matrix<float>(row.at("weight"), at::kFloat);
  return layer;
}

std::vector<GoldenLayer> golden_layers() {
  const Json cases = read_json_file(TIGERBOT_SOURCE_DIR "/tests/golden/gptq_layout.json");
  std::vector<GoldenLayer> layers;
  for (const Json& row : cases) layers.push_back(golden_layer(row));
  return layers;
}

TEST(GptqFormat, UnpacksWhatAutoGptqPacks) {
  const std::vector<GoldenLayer> layers = golden_layers();
  ASSERT_EQ(layers.size(), 9u);
  for (const GoldenLayer& layer : layers) {
    const ops::QuantizedWeight weight(unpack_gptq(layer.tensors, layer.config, "layer"));
    EXPECT_TRUE(at::equal(weight.dequantize(at::kFloat), layer.weight))
        << layer.config.bits << " bits, act-order " << layer.config.desc_act;
  }
}

TEST(GptqFormat, PacksAsAutoGptqDoes) {
  int packed = 0;
  for (const GoldenLayer& layer : golden_layers()) {
    const GptqTensors again =
        pack_gptq(unpack_gptq(layer.tensors, layer.config, "layer"), layer.config.zeros_less_one);
    EXPECT_TRUE(at::equal(again.qweight, layer.tensors.qweight));
    EXPECT_TRUE(at::equal(again.qzeros, layer.tensors.qzeros));
    EXPECT_TRUE(at::equal(again.scales, layer.tensors.scales));
    EXPECT_TRUE(at::equal(again.g_idx, layer.tensors.g_idx));
    ++packed;
  }
  EXPECT_EQ(packed, 9);
}

TEST(GptqFormat, GroupsInOrderNeedNoGroupIndex) {
  GoldenLayer layer = golden_layers().front();
  layer.tensors.g_idx = at::Tensor();
  const ops::QuantizedWeight weight(unpack_gptq(layer.tensors, layer.config, "layer"));
  EXPECT_TRUE(at::equal(weight.dequantize(at::kFloat), layer.weight));
  layer.config.desc_act = true;
  expect_error([&] { unpack_gptq(layer.tensors, layer.config, "layer"); },
               "layer.g_idx is missing");
}

TEST(GptqFormat, InconsistentTensorsAreNamed) {
  const auto broken = [](const auto& change, const std::string& part) {
    GoldenLayer layer = golden_layers().at(1);
    layer.tensors.g_idx = layer.tensors.g_idx.clone();
    change(layer.tensors);
    expect_error([&] { unpack_gptq(layer.tensors, layer.config, "m.safetensors: layer"); }, part);
  };
  using Tensors = GptqTensors;
  broken([](Tensors& t) { t.g_idx[5] = 2; },
         "m.safetensors: layer.g_idx puts feature 5 into group 2 of 2");
  broken([](Tensors& t) { t.g_idx[5] = -7; }, "layer.g_idx puts feature 5 into group -7 of 2");
  broken([](Tensors& t) { t.g_idx = t.g_idx.narrow(0, 0, 60); }, "layer.g_idx is Int [60]");
  broken([](Tensors& t) { t.qzeros = t.qzeros.narrow(1, 0, 1); }, "layer.qzeros is Int [2, 1]");
  broken([](Tensors& t) { t.scales = t.scales.narrow(0, 0, 1); }, "layer.scales is Half [1, 32]");
  broken([](Tensors& t) { t.scales = t.scales.to(at::kInt); }, "layer.scales is Int");
  broken([](Tensors& t) { t.scales = t.scales.clone().fill_(1.0 / 0.0); }, "layer.scales holds");
  broken([](Tensors& t) { t.qweight = t.qweight.to(at::kLong); }, "layer.qweight is Long");
  broken([](Tensors& t) { t.qweight = t.qweight.flatten(); }, "layer.qweight has shape [192]");
}

/// A directory with config.json and one packed layer, "a.b", beside a dense tensor.
void write_layer(const std::filesystem::path& folder, const Json& quantization,
                 const std::vector<std::string>& left_out = {}) {
  const GoldenLayer layer = golden_layers().at(3);
  std::vector<TensorToWrite> tensors;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    if (std::ranges::find(left_out, name) != left_out.end()) return;
    tensors.push_back(
        {name, tensor.sizes().vec(), tensor.scalar_type(), [tensor] { return tensor; }});
  };
  add("a.b.qweight", layer.tensors.qweight);
  add("a.b.qzeros", layer.tensors.qzeros);
  add("a.b.scales", layer.tensors.scales);
  add("a.b.g_idx", layer.tensors.g_idx);
  add("norm.weight", at::ones({4}));
  write_safetensors(folder / "model.safetensors", tensors);
  put_file(folder / "config.json", Json{{"quantization_config", quantization}}.dump());
}

TEST(GptqFormat, ADirectorysLayersBecomeQuantizedWeights) {
  TemporaryFolder folder;
  write_layer(folder.path(), {{"quant_method", "gptq"}, {"bits", 4}, {"group_size", 64}});
  const auto config = read_gptq_config(folder.path());
  ASSERT_TRUE(config.has_value());
  EXPECT_EQ(config->bits, 4);
  EXPECT_TRUE(config->zeros_less_one);
  const TensorSet set =
      gather_gptq_layers(open_safetensors_folder(folder.path()), *config, "model");
  ASSERT_EQ(set.tensors().size(), 2u);
  const StoredTensor* weight = set.find("a.b.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->shape, (std::vector<std::int64_t>{32, 64}));
  EXPECT_TRUE(weight->quantized);
  EXPECT_TRUE(at::equal(weight->load(at::kFloat), golden_layers().at(3).weight));
  EXPECT_EQ(weight->load_quantized().bits(), 4);
  EXPECT_NE(set.find("norm.weight"), nullptr);
}

TEST(GptqFormat, AMissingTensorIsNamed) {
  GptqConfig config;
  config.group_size = 64;
  for (const std::string name : {"a.b.qzeros", "a.b.scales"}) {
    TemporaryFolder folder;
    write_layer(folder.path(), {{"bits", 4}}, {name});
    expect_error(
        [&] { gather_gptq_layers(open_safetensors_folder(folder.path()), config, "model"); },
        name + " is missing");
  }
  TemporaryFolder folder;
  write_layer(folder.path(), {{"bits", 4}}, {"a.b.qweight"});
  expect_error([&] { gather_gptq_layers(open_safetensors_folder(folder.path()), config, "model"); },
               "no tensor ends in .qweight");
}

TEST(GptqConfig, IsReadAsItWasWritten) {
  TemporaryFolder folder;
  GptqConfig config;
  config.bits = 3;
  config.group_size = -1;
  config.desc_act = true;
  config.symmetric = false;
  config.zeros_less_one = false;
  config.damp_percent = 0.05;
  put_file(folder / "config.json", "{}");
  EXPECT_FALSE(read_gptq_config(folder.path()).has_value());
  put_file(folder / "quantize_config.json", gptq_config_json(config).dump());
  const auto read = read_gptq_config(folder.path());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(gptq_config_json(*read), gptq_config_json(config));
}

TEST(GptqConfig, WhatDoesNotRunIsNamed) {
  const auto refused = [](const Json& quantization, const std::string& part) {
    TemporaryFolder folder;
    put_file(folder / "config.json", Json{{"quantization_config", quantization}}.dump());
    expect_error([&] { read_gptq_config(folder.path()); }, part);
  };
  refused({{"quant_method", "awq"}, {"bits", 4}}, "quantization_config.quant_method is \"awq\"");
  refused({{"bits", 2}}, "quantization_config.bits is 2");
  refused({{"group_size", 128}}, "bits");
  refused({{"bits", 4}, {"group_size", 0}}, "group_size is 0");
  refused({{"bits", 4}, {"checkpoint_format", "marlin"}}, "checkpoint_format is \"marlin\"");
  refused({{"bits", 4}, {"pack_dtype", "int8"}}, "pack_dtype");
  refused({{"bits", 4}, {"dynamic", {{"lm_head", {{"bits", 8}}}}}}, "dynamic");
}

}  // namespace
}  // namespace tigerbot
