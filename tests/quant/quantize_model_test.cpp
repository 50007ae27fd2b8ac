#include "quant/quantize_model.h"

#include <ATen/Functions.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "infer/language_model.h"
#include "infer/sentence_embedder.h"
#include "model/decoder.h"
#include "quant/tiny_model.h"
#include "weights/convert.h"
#include "weights/files_for_tests.h"

namespace tigerbot::quant {
namespace {

using Family = ModelConfig::Family;

QuantizeOptions tiny_options(const std::filesystem::path& text) {
  QuantizeOptions options;
  options.gptq.grid.group_size = 32;
  options.calibration.inputs = {text.string()};
  options.calibration.samples = 40;
  options.calibration.context = 64;
  return options;
}

struct Fixture : testing::Test {
  void SetUp() override { write_text(folder / "text.txt", 20); }
  void write(Family family = Family::kLlama) { write_tiny_model(folder / "model", family); }
  QuantizeOptions options() const { return tiny_options(folder / "text.txt"); }
  nlohmann::ordered_json quantize(const QuantizeOptions& given, const std::string& out = "out") {
    return quantize_model(folder / "model", folder / out, given);
  }
  TemporaryFolder folder;
};
using QuantizeModel = Fixture;

/// Logits of a fixed sequence, whole.
at::Tensor logits_of(const std::filesystem::path& path) {
  const at::NoGradGuard no_grad;
  LanguageModel model(path, at::kFloat, at::kCPU);
  const at::Tensor ids = at::arange(60, at::kInt).remainder(90);
  return model.decoder().logits(model.decoder().forward(ids, make_sequences({60}, at::kCPU)));
}

std::string answer_of(const std::filesystem::path& path) {
  LanguageModel model(path, at::kFloat, at::kCPU);
  Engine engine(model.decoder(), model.tokenizer(), {});
  GenerationRequest request;
  request.prompt = model.encode_text("abc def");
  request.max_new_tokens = 12;
  std::string text;
  engine.submit(request, [&](const GenerationUpdate& update) { text += update.text; });
  while (engine.step()) {
  }
  return text;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

TEST_F(QuantizeModel, EveryMethodWritesAModelThatRunsAndFewerBitsAreFarther) {
  for (const Family family : {Family::kLlama, Family::kBloom}) {
    write(family);
    const at::Tensor whole = logits_of(folder / "model");
    double before = 0;
    for (const int bits : {8, 4, 3}) {
      QuantizeOptions given = options();
      given.gptq.grid.bits = bits;
      const std::string out = fmt::format("out{}{}", static_cast<int>(family), bits);
      quantize(given, out);
      const double now = distance(logits_of(folder / out), whole);
      EXPECT_GT(now, 1.5 * before) << bits;
      EXPECT_LT(now, bits == 8 ? 0.02 : 0.6) << bits;
      before = now;
    }
    EXPECT_EQ(answer_of(folder / fmt::format("out{}4", static_cast<int>(family))).empty(), false);
  }
}

TEST_F(QuantizeModel, GptqLosesLessThanRoundToNearestInEveryLayer) {
  write();
  for (const bool act_order : {false, true}) {
    QuantizeOptions given = options();
    if (act_order) given.gptq.order = ColumnOrder::kActivations;
    const auto report = quantize(given, act_order ? "ordered" : "plain");
    EXPECT_EQ(report["layers"].size(), 14u);
    for (const auto& layer : report["layers"]) {
      EXPECT_LT(layer["error"].get<double>(), layer["round_to_nearest_error"].get<double>())
          << layer["name"];
    }
    EXPECT_TRUE(std::filesystem::exists(folder / (act_order ? "ordered" : "plain") /
                                        "quantization_report.json"));
  }
}

TEST_F(QuantizeModel, TheFilesAreWhatOthersRead) {
  write();
  QuantizeOptions given = options();
  given.gptq.order = ColumnOrder::kActivations;
  quantize(given);
  const auto out = folder / "out";
  const Json config = read_json_file(out / "config.json");
  EXPECT_EQ(config.at("quantization_config"), read_json_file(out / "quantize_config.json"));
  EXPECT_EQ(config.at("quantization_config").at("quant_method"), "gptq");
  EXPECT_EQ(config.at("quantization_config").at("desc_act"), true);
  const TensorSet tensors = open_safetensors_folder(out);
  const std::string layer = "model.layers.1.mlp.down_proj";
  EXPECT_EQ(tensors.find(layer + ".qweight")->shape, (std::vector<std::int64_t>{12, 64}));
  EXPECT_EQ(tensors.find(layer + ".qzeros")->shape, (std::vector<std::int64_t>{3, 8}));
  EXPECT_EQ(tensors.find(layer + ".scales")->type, "F16");
  EXPECT_EQ(tensors.find(layer + ".g_idx")->shape, (std::vector<std::int64_t>{96}));
  EXPECT_NE(tensors.find("model.embed_tokens.weight"), nullptr);
  EXPECT_EQ(tensors.find(layer + ".weight"), nullptr);
}

TEST_F(QuantizeModel, BothVersionsOfTheFormatHoldTheSameModel) {
  write();
  QuantizeOptions second = options();
  second.zeros_less_one = false;
  quantize(options(), "first");
  quantize(second, "second");
  const Json config = read_json_file(folder / "second/config.json");
  EXPECT_EQ(config.at("quantization_config").at("checkpoint_format"), "gptq_v2");
  const std::string zeros = "model.layers.1.mlp.down_proj.qzeros";
  const auto stored = [&](const char* name) {
    return open_safetensors_folder(folder / name).find(zeros)->load(at::kFloat).to(at::kLong);
  };
  // Eight zeros of 4 bits a word, each greater by 1.
  EXPECT_TRUE(((stored("second") - stored("first")).bitwise_and(0xffffffff) == 0x11111111)
                  .all()
                  .item<bool>());
  EXPECT_TRUE(at::equal(logits_of(folder / "first"), logits_of(folder / "second")));
  expect_error([&] { quantize_to_gguf(folder / "model", folder / "never.gguf", second); },
               "--checkpoint-format");
}

TEST_F(QuantizeModel, TheDecoderHoldsThePackedWeightsAndConvertingDequantizes) {
  write();
  quantize(options());
  LanguageModel model(folder / "out", at::kFloat, at::kCPU);
  for (Linear* linear : model.decoder().linears()) EXPECT_TRUE(linear->is_quantized());
  convert_model(folder / "out", folder / "dense", {});
  LanguageModel dense(folder / "dense", at::kFloat, at::kCPU);
  for (Linear* linear : dense.decoder().linears()) EXPECT_FALSE(linear->is_quantized());
  EXPECT_LT(distance(logits_of(folder / "dense"), logits_of(folder / "out")), 0.01);
}

TEST_F(QuantizeModel, W8A16NeedsNoCalibrationAndIsClose) {
  write();
  QuantizeOptions given;
  given.method = Method::kW8A16;
  given.gptq.grid = {8, -1, true};
  const auto report = quantize(given);
  EXPECT_FALSE(report.contains("calibration"));
  EXPECT_LT(distance(logits_of(folder / "out"), logits_of(folder / "model")), 0.04);
}

void to_gguf(const std::filesystem::path& from, const std::filesystem::path& to) {
  ConvertOptions options;
  options.to = ConvertOptions::Format::kGguf;
  convert_model(from, to, options);
}

/// The weights of every layer, of one model after another.
void expect_same_layers(const std::filesystem::path& one, const std::filesystem::path& other,
                        double tolerance) {
  const ModelFiles a = open_model(one);
  const ModelFiles b = open_model(other);
  std::int64_t layers = 0;
  for (const StoredTensor& tensor : a.tensors->tensors()) {
    if (!tensor.quantized) continue;
    ++layers;
    const at::Tensor x = tensor.load(at::kFloat);
    const StoredTensor* found = b.tensors->find(tensor.name);
    ASSERT_NE(found, nullptr) << tensor.name;
    const at::Tensor y = found->load(at::kFloat);
    EXPECT_LE((x - y).abs().max().item<double>(), tolerance) << tensor.name << " " << found->type;
  }
  EXPECT_EQ(layers, 14);
}

TEST_F(QuantizeModel, TheOutputLayerRunsInEightBitsWhereAsked) {
  write();
  QuantizeOptions given = options();
  EXPECT_EQ(quantize(given, "plain")["output_bits"], 16);  // too small for 8 of itself
  given.output_bits = 8;
  EXPECT_EQ(quantize(given, "eight")["output_bits"], 8);
  const at::Tensor plain = logits_of(folder / "plain");
  const at::Tensor eight = logits_of(folder / "eight");
  const double moved = distance(eight, plain);
  EXPECT_GT(moved, 0);
  EXPECT_LT(moved, 0.01);
  // The embedding's rows are those of the file, and other programs see the same tensors.
  EXPECT_EQ(read_file(folder / "plain" / "model.safetensors"),
            read_file(folder / "eight" / "model.safetensors"));
  EXPECT_EQ(answer_of(folder / "eight").empty(), false);
  EXPECT_EQ(read_json_file(folder / "eight" / "config.json")["quantization_config"]["output_bits"],
            8);
}

TEST_F(QuantizeModel, GgufHoldsTheCodesAsTheyAre) {
  write();
  const auto both = [&](QuantizeOptions given, const std::string& name, const std::string& type) {
    quantize(given, name);
    to_gguf(folder / name, folder / (name + ".gguf"));
    const ModelFiles files = open_model(folder / (name + ".gguf"));
    EXPECT_EQ(files.tensors->find("model.layers.0.mlp.down_proj.weight")->type, type);
    // Q4_1 rounds the product of scale and zero to float16.
    expect_same_layers(folder / name, folder / (name + ".gguf"), type == "Q4_1" ? 1e-3 : 0);
  };
  QuantizeOptions given = options();
  both(given, "asymmetric", "Q4_1");
  given.gptq.grid.symmetric = true;
  both(given, "symmetric", "Q4_0");
  given.gptq.grid.bits = 3;
  both(given, "three", "Q4_0");
  given.gptq.grid.bits = 8;
  both(given, "eight", "Q8_0");
}

TEST_F(QuantizeModel, GgufAtOnceIsTheSameAsThroughTheGptqFormat) {
  write();
  QuantizeOptions given = options();
  given.gptq.grid.symmetric = true;
  quantize(given);
  const auto report = quantize_to_gguf(folder / "model", folder / "out.gguf", given);
  expect_same_layers(folder / "out", folder / "out.gguf", 0);
  EXPECT_EQ(report["bytes"]["gguf"], std::filesystem::file_size(folder / "out.gguf"));
  EXPECT_TRUE(std::filesystem::exists(folder / "out.quantization_report.html"));
  std::set<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    left.insert(entry.path().filename());
  }
  EXPECT_EQ(left, (std::set<std::string>{"model", "out", "out.gguf", "out.quantization_report.html",
                                         "out.quantization_report.json", "text.txt"}));
  given.gptq.order = ColumnOrder::kActivations;
  expect_error([&] { quantize_to_gguf(folder / "model", folder / "b.gguf", given); },
               "GGUF has no place for groups out of order");
  given = options();
  given.gptq.grid.bits = 8;
  expect_error([&] { quantize_to_gguf(folder / "model", folder / "b.gguf", given); },
               "give --symmetric");
}

TEST_F(QuantizeModel, ActivationOrderIsRoundedAgainInGguf) {
  write();
  QuantizeOptions given = options();
  given.gptq.order = ColumnOrder::kActivations;
  quantize(given);
  to_gguf(folder / "out", folder / "out.gguf");
  EXPECT_LT(distance(logits_of(folder / "out.gguf"), logits_of(folder / "out")), 0.5);
}

TEST_F(QuantizeModel, ThePageShowsEveryLayerAndWhatWasMeasured) {
  write();
  QuantizeOptions given = options();
  std::filesystem::path before, after;
  given.measure = [&](const auto& was, const auto& is) {
    before = was, after = is;
    EXPECT_TRUE(std::filesystem::exists(is / "model.safetensors"));
    const auto of = [](double perplexity) {
      return Json{{"perplexity", perplexity}, {"next_token_accuracy", 0.5}};
    };
    return Json{{"context", 64},
                {"languages", {{"<en>", {{"bytes", 7}, {"before", of(8)}, {"after", of(9)}}}}}};
  };
  const auto report = quantize(given);
  EXPECT_EQ(before, folder / "model");
  EXPECT_EQ(report["effect"]["context"], 64);
  const std::string page = get_file(folder / "out" / "quantization_report.html");
  for (const auto& layer : report["layers"]) {
    EXPECT_NE(page.find(layer["name"].get<std::string>()), std::string::npos);
  }
  EXPECT_NE(page.find("+12.50%"), std::string::npos);
  EXPECT_NE(page.find("&lt;en&gt;"), std::string::npos);
  EXPECT_EQ(page.find("http"), std::string::npos);
  given.measure = [](const auto&, const auto&) -> Json { fail("measuring failed"); };
  expect_error([&] { quantize(given, "never"); }, "measuring failed");
  EXPECT_FALSE(std::filesystem::exists(folder / "never"));
}

TEST_F(QuantizeModel, ConversationsGoThroughTheChatTemplate) {
  write();
  std::string rows;
  for (int i = 0; i < 40; ++i) {
    rows += fmt::format(
        R"({{"messages": [{{"role": "user", "content": "q{0} {0}{0}"}}, {{"role": "assistant", )"
        R"("content": "answer{0}"}}]}})"
        "\n",
        i);
  }
  put_file(folder / "chat.jsonl", rows);
  QuantizeOptions given = options();
  given.calibration.inputs = {"en=" + (folder / "chat.jsonl").string()};
  given.calibration.samples = 4;
  expect_error([&] { quantize(given); }, "the model has no chat template");
  put_file(folder / "model" / "chat_template.jinja",
           "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}");
  const auto report = quantize(given);
  EXPECT_EQ(report["calibration"]["conversations"], 40);
  EXPECT_EQ(report["calibration"]["samples_by_language"], (Json{{"en", 4}}));
}

// --- Encoders ------------------------------------------------------------------------------------

at::Tensor vectors_of(const std::filesystem::path& path, at::ScalarType dtype) {
  SentenceEmbedder embedder(path, dtype, at::kCPU);
  const std::vector<std::string> texts = {"abc def", "another text, a longer one", "z"};
  return embedder.embed(texts);
}

TEST_F(QuantizeModel, EncodersGiveTheSentenceVectorsOfTheirDequantizedWeights) {
  write(Family::kBert);
  const at::Tensor whole = vectors_of(folder / "model", at::kFloat);
  double before = 0;
  for (const int bits : {8, 4, 3}) {
    QuantizeOptions given = options();
    given.gptq.grid.bits = bits;
    const std::string out = fmt::format("out{}", bits);
    const auto report = quantize(given, out);
    EXPECT_EQ(report["layers"].size(), 12U);
    EXPECT_EQ(report["output_bits"], 16);
    for (const auto& layer : report["layers"]) {
      EXPECT_LT(layer["error"].get<double>(), layer["round_to_nearest_error"].get<double>())
          << layer["name"];
    }
    ConvertOptions dense;
    dense.dtype = at::kFloat;
    convert_model(folder / out, folder / (out + "-dense"), dense);
    const at::Tensor vectors = vectors_of(folder / out, at::kFloat);
    EXPECT_LT(distance(vectors, vectors_of(folder / (out + "-dense"), at::kFloat)), 1e-4);
    const double now = distance(vectors, whole);
    EXPECT_GT(now, 1.5 * before) << bits;
    EXPECT_LT(now, bits == 8 ? 0.02 : 0.6) << bits;
    // bfloat16 rounds activations to 8 bits, so that these weights did run quantized.
    const at::Tensor rounded = vectors_of(folder / out, at::kBFloat16);
    EXPECT_FALSE(at::equal(rounded, vectors_of(folder / (out + "-dense"), at::kBFloat16)));
    EXPECT_LT(distance(rounded, vectors), 0.05);
    before = now;
  }
}

TEST_F(QuantizeModel, AnEncodersCalibrationHasItsMarksAroundEverySequence) {
  write(Family::kBert);
  const auto tokenizer = open_model(folder / "model").load_tokenizer();
  const SequenceFrame frame = frame_of(*tokenizer);
  EXPECT_EQ(frame.before, std::vector<TokenId>{95});
  EXPECT_EQ(frame.after, std::vector<TokenId>{96});
  CalibrationOptions calibration = options().calibration;
  for (const auto& sequence : read_calibration(calibration, *tokenizer, {}, frame).sequences) {
    ASSERT_EQ(sequence.size(), 64U);
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      EXPECT_EQ(sequence[i] == 95, i == 0);
      EXPECT_EQ(sequence[i] == 96, i == 63);
    }
  }
  calibration.context = 2;
  expect_error([&] { read_calibration(calibration, *tokenizer, {}, frame); }, "--context 2");
}

TEST_F(QuantizeModel, WhatAnEncoderHasNotIsOneLine) {
  write(Family::kBert);
  QuantizeOptions given = options();
  given.output_bits = 8;
  expect_error([&] { quantize(given); }, "an encoder has no output layer");
  given = options();
  given.measure = [](const auto&, const auto&) { return Json(); };
  expect_error([&] { quantize(given); }, "predicts no next token");
  given = options();
  given.adapter = folder / "adapter";
  expect_error([&] { quantize(given); }, "an encoder");
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_F(QuantizeModel, TheSameOptionsGiveTheSameBytes) {
  write();
  quantize(options(), "one");
  quantize(options(), "two");
  EXPECT_EQ(get_file(folder / "one" / "model.safetensors"),
            get_file(folder / "two" / "model.safetensors"));
}

TEST_F(QuantizeModel, WhatCannotBeIsOneLineAndLeavesNothingBehind) {
  write();
  const auto refused = [&](const auto& change, const std::string& part) {
    QuantizeOptions given = options();
    change(given);
    expect_error([&] { quantize(given, "never"); }, part);
    EXPECT_FALSE(std::filesystem::exists(folder / "never"));
  };
  using Given = QuantizeOptions;
  refused([](Given& given) { given.gptq.grid.bits = 2; }, "--bits 2");
  refused([](Given& given) { given.gptq.grid.group_size = 64; },
          "model.layers.0.mlp.down_proj: groups of 64 do not divide its 96 input features");
  refused([](Given& given) { given.gptq.damping = 3; }, "--damping 3");
  refused([](Given& given) { given.calibration.context = 500; }, "the model's context is 128");
  refused([](Given& given) { given.method = Method::kW8A16; }, "w8a16 means 8-bit weights");
  put_file(folder / "empty.txt", " \n");
  refused([&](Given& given) { given.calibration.inputs = {(folder / "empty.txt").string()}; },
          "the calibration set has no text");
  put_file(folder / "short.txt", "a few words");
  refused([&](Given& given) { given.calibration.inputs = {(folder / "short.txt").string()}; },
          "one sample needs 64");
  quantize(options());
  expect_error([&] { quantize_model(folder / "out", folder / "again", options()); },
               "is quantized already, to 4 bits");
  expect_error([&] { quantize(options()); }, "is there already");
}

TEST_F(QuantizeModel, NonFiniteWeightsAreNamed) {
  write();
  const auto file = folder / "model" / "model.safetensors";
  std::string bytes = get_file(file);
  for (std::size_t i = bytes.size() - 4000; i < bytes.size(); ++i) bytes[i] = '\xff';  // NaN
  put_file(file, bytes);
  QuantizeOptions given;
  given.method = Method::kRoundToNearest;
  given.gptq.grid.group_size = 32;
  expect_error([&] { quantize(given); }, "holds an infinity or NaN");
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
}

}  // namespace
}  // namespace tigerbot::quant
