#include "weights/convert.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/item.h>
#include <ATen/ops/max.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/sub.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>

#include "base/json.h"
#include "base/utf8.h"
#include "tokenizer/sentencepiece_model.h"
#include "weights/files_for_tests.h"
#include "weights/gguf_config.h"
#include "weights/inspect.h"
#include "weights/model_files.h"
#include "weights/safetensors.h"

namespace tigerbot {
namespace {

constexpr std::int64_t kVocabulary = 320;  // 256 bytes, merges, special tokens, and a few unused

using Shapes = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

// Every tensor of a small model of each family, as Hugging Face names and shapes it.
Shapes shapes_of(const std::string& type, std::int64_t vocabulary = kVocabulary) {
  Shapes shapes;
  const auto both = [&](const std::string& name, std::vector<std::int64_t> shape) {
    shapes.push_back({name + ".bias", {shape.front()}});
    shapes.push_back({name + ".weight", std::move(shape)});
  };
  if (type == "bloom") {
    shapes.push_back({"transformer.word_embeddings.weight", {vocabulary, 64}});
    both("transformer.word_embeddings_layernorm", {64});
    both("transformer.ln_f", {64});
    for (const std::string layer : {"transformer.h.0.", "transformer.h.1."}) {
      both(layer + "input_layernorm", {64});
      both(layer + "self_attention.query_key_value", {192, 64});
      both(layer + "self_attention.dense", {64, 64});
      both(layer + "post_attention_layernorm", {64});
      both(layer + "mlp.dense_h_to_4h", {256, 64});
      both(layer + "mlp.dense_4h_to_h", {64, 256});
    }
    return shapes;
  }
  const std::int64_t head_dim = type == "qwen3" ? 32 : 16;
  shapes.push_back({"model.embed_tokens.weight", {vocabulary, 64}});
  shapes.push_back({"model.norm.weight", {64}});
  shapes.push_back({"lm_head.weight", {vocabulary, 64}});
  for (const std::string layer : {"model.layers.0.", "model.layers.1."}) {
    shapes.push_back({layer + "input_layernorm.weight", {64}});
    shapes.push_back({layer + "post_attention_layernorm.weight", {64}});
    const std::string attention = layer + "self_attn.";
    for (const auto& [name, heads] : {std::pair{"q", 4}, {"k", 2}, {"v", 2}}) {
      const std::vector<std::int64_t> shape{heads * head_dim, 64};
      if (type == "qwen2") {
        both(attention + name + "_proj", shape);
      } else {
        shapes.push_back({attention + name + "_proj.weight", shape});
      }
    }
    shapes.push_back({attention + "o_proj.weight", {64, 4 * head_dim}});
    if (type == "qwen3") {
      shapes.push_back({attention + "q_norm.weight", {head_dim}});
      shapes.push_back({attention + "k_norm.weight", {head_dim}});
    }
    shapes.push_back({layer + "mlp.gate_proj.weight", {96, 64}});
    shapes.push_back({layer + "mlp.up_proj.weight", {96, 64}});
    shapes.push_back({layer + "mlp.down_proj.weight", {64, 96}});
  }
  return shapes;
}

Json config_of(const std::string& type) {
  Json config = {{"model_type", type},
                 {"vocab_size", kVocabulary},
                 {"torch_dtype", "float32"},
                 {"bos_token_id", 300},
                 {"eos_token_id", 301}};
  if (type == "bloom") {
    config.update({{"hidden_size", 64},
                   {"n_layer", 2},
                   {"n_head", 4},
                   {"seq_length", 128},
                   {"layer_norm_epsilon", 1e-5}});
    return config;
  }
  config.update({{"hidden_size", 64},
                 {"intermediate_size", 96},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"max_position_embeddings", 256},
                 {"rms_norm_eps", 1e-6},
                 {"rope_theta", 50000.0},
                 {"head_dim", type == "qwen3" ? 32 : 16},
                 {"tie_word_embeddings", false}});
  if (type == "mistral") config["sliding_window"] = 32;
  return config;
}

// A byte-level tokenizer with a few merges and SmolLM's pre-tokenizer.
std::string tokenizer_json() {
  Json vocabulary = Json::object();
  int id = 0;
  int beyond = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool shown =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    std::string piece;
    append_utf8(piece, static_cast<char32_t>(shown ? byte : 256 + beyond++));
    vocabulary[piece] = id++;
  }
  Json merges = Json::array();
  for (const auto& [left, right] :
       {std::pair{"t", "h"}, {"th", "e"}, {"i", "n"}, {"\u0120", "the"}, {"\u0120", "t"}}) {
    merges.push_back(std::string(left) + " " + right);
    vocabulary[std::string(left) + right] = id++;
  }
  Json added = Json::array();
  for (const auto& [token, special] :
       {std::pair{"<|begin|>", true}, {"<|end|>", true}, {"<tool>", false}}) {
    const int at = 300 + static_cast<int>(added.size());
    added.push_back({{"id", at},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
    vocabulary[token] = at;
  }
  const Json level = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", true}};
  const Json json = {
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", added},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Sequence"},
        {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, level}}}},
      {"post_processor", level},
      {"decoder", level},
      {"model",
       {{"type", "BPE"},
        {"dropout", nullptr},
        {"unk_token", nullptr},
        {"continuing_subword_prefix", nullptr},
        {"end_of_word_suffix", nullptr},
        {"fuse_unk", false},
        {"byte_fallback", false},
        {"vocab", vocabulary},
        {"merges", merges}}}};
  return json.dump();
}

void write_model(const std::filesystem::path& folder, const std::string& type, Json config) {
  std::filesystem::create_directories(folder);
  put_file(folder / "config.json", config.dump());
  put_file(folder / "tokenizer.json", tokenizer_json());
  put_file(
      folder / "tokenizer_config.json",
      R"({"bos_token":"<|begin|>","eos_token":{"content":"<|end|>"},"chat_template":[)"
      R"({"name":"tool_use","template":"no"},{"name":"default","template":"{{ messages }}"}]})");
  put_file(folder / "generation_config.json", R"({"eos_token_id":[301,302],"temperature":0.6})");
  auto generator = at::detail::createCPUGenerator(7);
  std::vector<TensorToWrite> tensors;
  for (const auto& [name, shape] : shapes_of(type, config["vocab_size"])) {
    const at::Tensor values = at::randn(shape, generator);
    tensors.push_back({name, shape, at::kFloat, [values] { return values; }});
  }
  write_safetensors_folder(folder, tensors, 1 << 30);
}

ConvertOptions to_gguf() {
  ConvertOptions options;
  options.to = ConvertOptions::Format::kGguf;
  return options;
}

class Convert : public testing::TestWithParam<const char*> {};

TEST_P(Convert, ThereAndBackKeepsEveryBitTheShapeAndTheTokenizer) {
  const std::string type = GetParam();
  TemporaryFolder folder;
  write_model(folder / "hf", type, config_of(type));
  convert_model(folder / "hf", folder / "m.gguf", to_gguf());
  const ModelFiles before = open_model(folder / "hf");
  const ModelFiles middle = open_model(folder / "m.gguf");
  convert_model(folder / "m.gguf", folder / "back", {});
  const ModelFiles after = open_model(folder / "back");

  for (const ModelFiles* files : {&middle, &after}) {
    EXPECT_EQ(Json::parse(format_model_config(files->config)), Json::parse(format_model_config([&] {
                ModelConfig config = before.config;
                config.eos_token_ids = files->config.eos_token_ids;
                return config;
              }())));
    EXPECT_EQ(files->chat_template, "{{ messages }}");
    EXPECT_EQ(files->bos_token, "<|begin|>");
    EXPECT_EQ(files->eos_token, "<|end|>");
    EXPECT_EQ(files->eos_token_ids, (std::vector<std::int64_t>{301, 302}));
    const auto source = files->source(at::kFloat);
    EXPECT_EQ(files->tensors->tensors().size(), before.tensors->tensors().size());
    for (const auto& tensor : before.tensors->tensors()) {
      EXPECT_TRUE(at::equal(source(tensor.name, tensor.shape), tensor.load(at::kFloat)))
          << tensor.name;
    }
    const auto expected = before.load_tokenizer();
    const auto tokenizer = files->load_tokenizer();
    for (const char* text : {"in the 123 thing\n", " the<|end|> <tool>the", "老虎\t!", ""}) {
      EXPECT_EQ(tokenizer->encode(text), expected->encode(text)) << text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryFamily, Convert,
                         testing::Values("llama", "mistral", "qwen2", "qwen3", "bloom"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ConvertScaling, RopeScalingSurvivesGguf) {
  for (const Json& scaling : {Json{{"rope_type", "linear"}, {"factor", 4.0}},
                              Json{{"rope_type", "yarn"},
                                   {"factor", 8.0},
                                   {"original_max_position_embeddings", 64},
                                   {"attention_factor", 1.25}},
                              Json{{"rope_type", "llama3"},
                                   {"factor", 32.0},
                                   {"low_freq_factor", 1.0},
                                   {"high_freq_factor", 4.0},
                                   {"original_max_position_embeddings", 8192}}}) {
    TemporaryFolder folder;
    Json config = config_of("llama");
    config["rope_scaling"] = scaling;
    config["rope_theta"] = 500000.0;
    config["max_position_embeddings"] = 131072;
    write_model(folder / "hf", "llama", config);
    convert_model(folder / "hf", folder / "m.gguf", to_gguf());
    const RopeScaling before = open_model(folder / "hf").config.rope_scaling;
    const RopeScaling after = open_model(folder / "m.gguf").config.rope_scaling;
    EXPECT_EQ(after.kind, before.kind);
    EXPECT_NEAR(after.factor, before.factor, 1e-6);
    EXPECT_EQ(after.original_max_position_embeddings, before.original_max_position_embeddings);
    EXPECT_NEAR(after.high_freq_factor, before.high_freq_factor, 1e-3);
    EXPECT_NEAR(after.attention_factor.value_or(0), before.attention_factor.value_or(0), 1e-6);
  }
}

TEST(ConvertQuantized, RoundsMatricesAndKeepsNorms) {
  for (const auto& [type, bound] :
       {std::pair{GgmlType::kQ8_0, 0.02}, {GgmlType::kQ4_0, 0.4}, {GgmlType::kQ4_1, 0.3}}) {
    TemporaryFolder folder;
    write_model(folder / "hf", "llama", config_of("llama"));
    ConvertOptions options = to_gguf();
    options.quantized_type = type;
    convert_model(folder / "hf", folder / "m.gguf", options);
    const ModelFiles before = open_model(folder / "hf");
    const ModelFiles after = open_model(folder / "m.gguf");
    for (const auto& tensor : after.tensors->tensors()) {
      const at::Tensor expected = before.tensors->find(tensor.name)->load(at::kFloat);
      const double off =
          at::max(at::abs(at::sub(tensor.load(at::kFloat), expected))).item().toDouble();
      if (tensor.shape.size() == 1) {
        EXPECT_EQ(off, 0) << tensor.name;
      } else {
        EXPECT_GT(off, 0) << tensor.name;
        EXPECT_LT(off, bound) << tensor.name;
      }
    }
    EXPECT_EQ(after.tensors->find("model.embed_tokens.weight")->type, "Q8_0");
  }
}

TEST(ConvertOptionsTest, DtypeAndShardsReachTheDirectory) {
  TemporaryFolder folder;
  write_model(folder / "hf", "llama", config_of("llama"));
  ConvertOptions options;
  options.dtype = at::kBFloat16;
  options.max_shard_bytes = 60'000;
  convert_model(folder / "hf", folder / "out", options);
  EXPECT_TRUE(std::filesystem::exists(folder / "out/model.safetensors.index.json"));
  const ModelFiles files = open_model(folder / "out");
  EXPECT_EQ(files.config.torch_dtype, "bfloat16");
  for (const auto& tensor : files.tensors->tensors()) EXPECT_EQ(tensor.type, "BF16");
  EXPECT_EQ(get_file(folder / "out/tokenizer.json"), get_file(folder / "hf/tokenizer.json"));
  EXPECT_EQ(files.generation.temperature, 0.6);
}

TEST(ConvertSafety, OverwritesOnlyWhenAskedAndOnlyAModel) {
  TemporaryFolder folder;
  write_model(folder / "hf", "llama", config_of("llama"));
  put_file(folder / "m.gguf", "precious");
  expect_error([&] { convert_model(folder / "hf", folder / "m.gguf", to_gguf()); }, "--overwrite");
  EXPECT_EQ(get_file(folder / "m.gguf"), "precious");
  ConvertOptions options = to_gguf();
  options.overwrite = true;
  convert_model(folder / "hf", folder / "m.gguf", options);
  EXPECT_EQ(open_model(folder / "m.gguf").config.num_hidden_layers, 2);
  options.to = ConvertOptions::Format::kHuggingFace;
  std::filesystem::create_directories(folder / "photos");
  put_file(folder / "photos/cat.jpg", "meow");
  expect_error([&] { convert_model(folder / "hf", folder / "photos", options); }, "holds no model");
  EXPECT_EQ(get_file(folder / "photos/cat.jpg"), "meow");
  expect_error([&] { convert_model(folder / "hf", folder / "m.gguf", options); },
               "would take its place");
  expect_error([&] { convert_model(folder / "hf", folder / "hf", options); }, "the same");
}

TEST(ConvertSafety, AFullDiskLeavesNothingBehind) {
  TemporaryFolder folder;
  write_model(folder / "hf", "llama", config_of("llama"));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{30'000, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(convert_model(folder / "hf", folder / "m.gguf", to_gguf()), Error);
  EXPECT_THROW(convert_model(folder / "hf", folder / "out", {}), Error);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  signal(SIGXFSZ, handler);
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
    ++entries;
  EXPECT_EQ(entries, 1);  // the source alone
}

TEST(ConvertBadInput, SaysWhatDoesNotFit) {
  TemporaryFolder folder;
  write_model(folder / "hf", "llama", config_of("llama"));
  ConvertOptions quantized;
  quantized.quantized_type = GgmlType::kQ8_0;
  expect_error([&] { convert_model(folder / "hf", folder / "out", quantized); }, "takes --dtype");
  ConvertOptions unwritten = to_gguf();
  unwritten.quantized_type = GgmlType::kQ6_K;
  expect_error([&] { convert_model(folder / "hf", folder / "m.gguf", unwritten); },
               "Q6_K is not written");
  Json tokenizer = Json::parse(tokenizer_json());
  tokenizer["pre_tokenizer"] = {{"type", "Whitespace"}};
  put_file(folder / "hf/tokenizer.json", tokenizer.dump());
  expect_error([&] { convert_model(folder / "hf", folder / "m.gguf", to_gguf()); },
               "no name that we know");
  EXPECT_FALSE(std::filesystem::exists(folder / "m.gguf"));
}

void use_sentencepiece(const std::filesystem::path& folder, const char* model, int pieces) {
  Json config = config_of("llama");
  config.update({{"vocab_size", pieces}, {"bos_token_id", 1}, {"eos_token_id", 2}});
  write_model(folder, "llama", config);
  std::filesystem::remove(folder / "tokenizer.json");
  put_file(folder / "tokenizer_config.json", R"({"add_bos_token": false})");
  const std::string golden = TIGERBOT_SOURCE_DIR "/tests/golden/sentencepiece/";
  put_file(folder / "tokenizer.model", get_file(golden + model));
}

void expect_same_ids_through_gguf(const char* model, int pieces) {
  SCOPED_TRACE(model);
  TemporaryFolder folder;
  use_sentencepiece(folder / "hf", model, pieces);
  convert_model(folder / "hf", folder / "m.gguf", to_gguf());
  const ModelFiles before = open_model(folder / "hf"), after = open_model(folder / "m.gguf");
  const auto expected = before.load_tokenizer(), tokenizer = after.load_tokenizer();
  const Tokenizer::EncodeOptions plain{.add_special_tokens = false, .parse_special_tokens = false};
  const Json cases =
      Json::parse(get_file(TIGERBOT_SOURCE_DIR "/tests/golden/sentencepiece/cases.json"));
  const auto pieces_of_file =
      read_sentencepiece_model(get_file(folder / "hf/tokenizer.model"), model).pieces;
  std::size_t tokens = 0;
  for (const Json& hex : cases["texts"]) {
    std::string text;
    const auto digits = hex.get<std::string>();
    for (std::size_t at = 0; at < digits.size(); at += 2)
      text += static_cast<char>(std::stoi(digits.substr(at, 2), nullptr, 16));
    // A GGUF's user-defined pieces are cut out before a space is put in front.
    const bool has_user_defined =
        std::ranges::any_of(pieces_of_file, [&](const SentencePieceModel::Piece& piece) {
          return piece.type == SentencePieceModel::PieceType::kUserDefined &&
                 text.find(piece.text) != std::string::npos;
        });
    if (has_user_defined) continue;
    const auto ids = expected->encode(text, plain);
    EXPECT_EQ(tokenizer->encode(text, plain), ids) << text;
    tokens += ids.size();
  }
  EXPECT_GT(tokens, 1000u);
}

TEST(ConvertTokenizer, SentencePieceWithItsRulesGoesToGguf) {
  expect_same_ids_through_gguf("unigram_rules.model", 371);
  expect_same_ids_through_gguf("bpe_rules.model", 520);
}

TEST(ConvertTokenizer, SentencePieceModelsThatGgufCannotHoldAreRefused) {
  TemporaryFolder folder;
  const auto refused = [&](const char* model, int pieces, const char* message) {
    std::filesystem::remove_all(folder / "hf");
    use_sentencepiece(folder / "hf", model, pieces);
    expect_error([&] { convert_model(folder / "hf", folder / "m.gguf", to_gguf()); }, message);
    EXPECT_FALSE(std::filesystem::exists(folder / "m.gguf"));
  };
  refused("unigram_bytes.model", 630, "--no-byte-fallback");
  refused("character.model", 284, "of words or characters");
  refused("bpe_suffix.model", 500, "behind a word");
}

TEST(OpenModelBadInput, NamesTensorsOfWrongShapeTypeOrMissing) {
  TemporaryFolder folder;
  write_model(folder / "hf", "llama", config_of("llama"));
  const TensorSource source = open_model(folder / "hf").source(at::kFloat);
  expect_error([&] { source("model.norm.weight", {65}); },
               "has shape [64]; its configuration asks for [65]");
  expect_error([&] { source("model.layers.2.mlp.up_proj.weight", {96, 64}); }, "is missing");
  const at::Tensor integers = at::randn({4}).to(at::kLong);
  write_safetensors(folder / "hf/model.safetensors",
                    {{"model.norm.weight", {4}, at::kLong, [&] { return integers; }}});
  expect_error([&] { open_model(folder / "hf").source(at::kFloat)("model.norm.weight", {4}); },
               "floating-point");
  put_file(folder / "hf/config.json", R"({"model_type":"gpt9","vocab_size":5})");
  expect_error([&] { open_model(folder / "hf"); }, "gpt9");
}

TEST(Inspect, CountsWhatIsThere) {
  TemporaryFolder folder;
  write_model(folder / "hf", "qwen2", config_of("qwen2"));
  std::int64_t parameters = 0;
  for (const auto& [name, shape] : shapes_of("qwen2")) parameters += element_count(shape);
  convert_model(folder / "hf", folder / "m.gguf", to_gguf());
  for (const char* name : {"hf", "m.gguf"}) {
    const Json json = inspect_path(folder / name);
    EXPECT_EQ(json["parameters"], parameters) << name;
    EXPECT_EQ(json["weight_bytes"], parameters * 4) << name;
    EXPECT_EQ(json["architecture"], "qwen2") << name;
    EXPECT_EQ(json["types"]["F32"]["tensors"], shapes_of("qwen2").size()) << name;
    EXPECT_EQ(json["tokenizer"]["kind"], "byte-level BPE") << name;
    EXPECT_EQ(json["chat_template"], "{{ messages }}") << name;
    const std::string text = format_inspection(json, true);
    EXPECT_NE(text.find("2 layers, width 64, 4 heads (2 KV)"), std::string::npos) << text;
    EXPECT_NE(text.find("model.norm.weight") == std::string::npos, name == std::string("hf"))
        << text;
  }
  const Json shard = inspect_path(folder / "hf/model.safetensors");
  EXPECT_EQ(shard["parameters"], parameters);
  EXPECT_EQ(shard["metadata"]["format"], "pt");
}

}  // namespace
}  // namespace tigerbot
