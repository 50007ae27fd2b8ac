#include "weights/grow_vocabulary.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/item.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/max.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/min.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/std.h>
#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/json.h"
#include "base/utf8.h"
#include "weights/convert.h"
#include "weights/files_for_tests.h"
#include "weights/safetensors.h"

namespace tigerbot {
namespace {

using testing::error_of;

constexpr std::int64_t kOldPieces = 259;  // 256 bytes, "th", "the", <|end|>

std::string byte_piece(int byte) {
  static const auto pieces = [] {
    std::vector<std::string> all;
    int beyond = 0;
    for (int b = 0; b < 256; ++b) {
      const bool shown = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      append_utf8(all.emplace_back(), static_cast<char32_t>(shown ? b : 256 + beyond++));
    }
    return all;
  }();
  return pieces[static_cast<std::size_t>(byte)];
}

std::string spelled(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += byte_piece(static_cast<unsigned char>(c));
  return out;
}

/// A byte-level tokenizer of 256 bytes, the old pieces and merges, <|end|>, and then what is new.
std::string tokenizer_json(const std::vector<std::pair<std::string, std::string>>& new_merges,
                           const std::vector<std::string>& new_special) {
  Json vocabulary = Json::object(), merges = Json::array(), added = Json::array();
  for (int byte = 0; byte < 256; ++byte) vocabulary[byte_piece(byte)] = byte;
  const auto merge = [&](const std::string& left, const std::string& right) {
    vocabulary[left + right] = vocabulary.size();
    merges.push_back(left + " " + right);
  };
  const auto special = [&](const std::string& text) {
    added.push_back({{"id", vocabulary.size()},
                     {"content", text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    vocabulary[text] = vocabulary.size();
  };
  merge("t", "h");
  merge("th", "e");
  special("<|end|>");
  for (const auto& [left, right] : new_merges) merge(left, right);
  for (const auto& text : new_special) special(text);
  const Json level = {{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", true},
                      {"use_regex", true}};
  return Json{{"version", "1.0"},
              {"added_tokens", added},
              {"normalizer", nullptr},
              {"pre_tokenizer", level},
              {"post_processor", nullptr},
              {"decoder", level},
              {"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}}}
      .dump();
}

/// New: the first two bytes of U+4F60, then all three, then a special token.
std::string extended_json() {
  const std::string two = spelled("\xE4\xBD"), one = spelled("\xA0");
  return tokenizer_json({{spelled("\xE4"), spelled("\xBD")}, {two, one}}, {"<|zh|>"});
}

class GrowVocabulary : public ::testing::Test {
 protected:
  void write_model(bool tied, std::int64_t rows = kOldPieces) {
    const auto folder = folder_ / "base";
    std::filesystem::create_directories(folder);
    put_file(folder / "tokenizer.json", tokenizer_json({}, {}));
    put_file(folder / "tokenizer_config.json", R"({"eos_token":"<|end|>"})");
    put_file(folder / "generation_config.json", R"({"eos_token_id":258,"temperature":0.5})");
    put_file(folder / "config.json", Json{{"model_type", "llama"},
                                          {"vocab_size", rows},
                                          {"hidden_size", 32},
                                          {"intermediate_size", 48},
                                          {"num_hidden_layers", 1},
                                          {"num_attention_heads", 2},
                                          {"num_key_value_heads", 2},
                                          {"max_position_embeddings", 64},
                                          {"rms_norm_eps", 1e-6},
                                          {"eos_token_id", 258},
                                          {"torch_dtype", "float32"},
                                          {"tie_word_embeddings", tied}}
                                         .dump());
    auto generator = at::detail::createCPUGenerator(3);
    std::vector<TensorToWrite> tensors;
    const auto add = [&](const std::string& name, std::vector<std::int64_t> shape) {
      const at::Tensor values = at::randn(shape, generator);
      tensors.push_back({name, shape, at::kFloat, [values] { return values; }});
    };
    add("model.embed_tokens.weight", {rows, 32});
    if (!tied) add("lm_head.weight", {rows, 32});
    add("model.norm.weight", {32});
    const std::string layer = "model.layers.0.";
    for (const char* norm : {"input_layernorm.weight", "post_attention_layernorm.weight"})
      add(layer + norm, {32});
    for (const char* part : {"q", "k", "v", "o"})
      add(layer + "self_attn." + part + "_proj.weight", {32, 32});
    add(layer + "mlp.gate_proj.weight", {48, 32});
    add(layer + "mlp.up_proj.weight", {48, 32});
    add(layer + "mlp.down_proj.weight", {32, 48});
    write_safetensors_folder(folder, tensors, 1 << 30);
  }
  void write_extended(const std::string& json, const std::string& config = "{}") {
    std::filesystem::create_directories(folder_ / "extended");
    put_file(folder_ / "extended" / "tokenizer.json", json);
    put_file(folder_ / "extended" / "tokenizer_config.json", config);
  }
  ConvertOptions options(NewRows rows = NewRows::kMean) {
    ConvertOptions convert;
    // The rows themselves; tests/weights/output_shift_test.cpp looks at the shift.
    convert.grow =
        GrowOptions{.tokenizer = folder_ / "extended", .new_rows = rows, .output_shift = false};
    convert.overwrite = true;
    return convert;
  }
  at::Tensor matrix(const std::filesystem::path& model, const std::string& name) {
    const ModelFiles files = open_model(model);
    return files.tensors->get(name, {files.config.vocab_size, 32}, at::kFloat, "test")
        .to(at::kFloat)
        .clone();
  }
  at::Tensor grown(const std::string& name = "model.embed_tokens.weight") {
    return matrix(folder_ / "grown", name);
  }
  at::Tensor base(const std::string& name = "model.embed_tokens.weight") {
    return matrix(folder_ / "base", name);
  }

  TemporaryFolder folder_;
};

void expect_near(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_LT((a - b).abs().max().item<float>(), 1e-5f);
}

TEST_F(GrowVocabulary, OldRowsStayAndNewOnesAreTheMeanOfTheirSpelling) {
  for (const bool tied : {true, false}) {
    write_model(tied);
    write_extended(extended_json());
    convert_model(folder_ / "base", folder_ / "grown", options());
    std::vector<std::string> names{"model.embed_tokens.weight"};
    if (!tied) names.emplace_back("lm_head.weight");
    for (const std::string& name : names) {
      const at::Tensor old = base(name), rows = grown(name);
      ASSERT_EQ(rows.size(0), 320);  // 262 pieces, in units of 64
      EXPECT_TRUE(at::equal(rows.narrow(0, 0, kOldPieces), old));
      expect_near(rows[259], (old[0xE4] + old[0xBD]) / 2);
      expect_near(rows[260], (old[0xE4] + old[0xBD] + old[0xA0]) / 3);
      at::Tensor special = old['<'].clone();
      for (const char c : std::string("|zh|>")) special += old[c];
      expect_near(rows[261], special / 6);
    }
    std::filesystem::remove_all(folder_ / "base");
  }
}

TEST_F(GrowVocabulary, PaddingNeverHasTheHighestLogit) {
  write_model(true);
  write_extended(extended_json());
  convert_model(folder_ / "base", folder_ / "grown", options());
  const at::Tensor rows = grown();
  auto generator = at::detail::createCPUGenerator(5);
  const at::Tensor hidden = at::randn({2000, 32}, generator);
  const at::Tensor logits = hidden.matmul(rows.t());
  const at::Tensor best = std::get<0>(logits.narrow(1, 0, 262).max(1));
  const at::Tensor padding = std::get<0>(logits.narrow(1, 262, 58).max(1));
  EXPECT_GT((best - padding).min().item<float>(), 0);
}

TEST_F(GrowVocabulary, WeightsFollowTheBytesOfEachPiece) {
  const auto tokenizer = parse_tokenizer_json(tokenizer_json({}, {}), "t.json");
  const Spelling spelling = spell_piece(*tokenizer, "thex", false);
  EXPECT_EQ(spelling.ids, (std::vector<TokenId>{257, 'x'}));
  EXPECT_EQ(spelling.weights, (std::vector<double>{3, 1}));
  VocabularyGrowth growth{.old_rows = 259, .new_pieces = {spelling}, .rows = 260};
  growth.new_rows = NewRows::kWeighted;
  auto generator = at::detail::createCPUGenerator(5);
  const at::Tensor old = at::randn({259, 8}, generator);
  expect_near(grow_rows(old, growth, "e")[259], (old[257] * 3 + old['x']) / 4);
}

TEST_F(GrowVocabulary, RandomRowsHaveTheSpreadOfTheBaseAndFollowTheSeed) {
  VocabularyGrowth growth{.old_rows = 100, .new_pieces = {}, .rows = 400};
  growth.new_pieces.resize(300);
  growth.new_rows = NewRows::kRandom;
  auto generator = at::detail::createCPUGenerator(5);
  const at::Tensor old = at::randn({100, 64}, generator) * 0.25 + 3;
  const at::Tensor rows = grow_rows(old, growth, "e").narrow(0, 100, 300);
  EXPECT_NEAR(rows.mean().item<float>(), 0, 0.01);
  EXPECT_NEAR(at::std(rows).item<float>(), 0.25, 0.01);
  EXPECT_TRUE(at::equal(rows, grow_rows(old, growth, "e").narrow(0, 100, 300)));
  EXPECT_FALSE(at::equal(rows, grow_rows(old, growth, "output").narrow(0, 100, 300)));
  growth.seed = 1;
  EXPECT_FALSE(at::equal(rows, grow_rows(old, growth, "e").narrow(0, 100, 300)));
}

TEST_F(GrowVocabulary, TheShiftIsTheSameForAllNewPiecesAndOnlyTheOutputLayersIfItIsApart) {
  for (const bool tied : {true, false}) {
    write_model(tied);
    write_extended(extended_json());
    convert_model(folder_ / "base", folder_ / "plain", options());
    ConvertOptions shifted = options();
    shifted.grow->output_shift = true;
    shifted.grow->old_text_loss = 1e-9;  // whatever random rows do
    convert_model(folder_ / "base", folder_ / "grown", shifted);
    const auto added = [&](const std::string& name) {
      return grown(name) - matrix(folder_ / "plain", name);
    };
    const std::string embedding = "model.embed_tokens.weight";
    const at::Tensor difference = added(tied ? embedding : "lm_head.weight");
    EXPECT_GT(difference[259].abs().max().item<float>(), 0.01f);
    for (const std::int64_t row : {260, 261}) expect_near(difference[row], difference[259]);
    EXPECT_EQ(difference.narrow(0, 0, 259).abs().max().item<float>(), 0);
    EXPECT_EQ(difference.narrow(0, 262, 58).abs().max().item<float>(), 0);
    if (!tied) {
      EXPECT_EQ(added(embedding).abs().max().item<float>(), 0);
    }
    // The same samples, so the same rows.
    convert_model(folder_ / "base", folder_ / "again", shifted);
    EXPECT_TRUE(at::equal(matrix(folder_ / "again", embedding), grown(embedding)));
    std::filesystem::remove_all(folder_ / "base");
  }
}

TEST_F(GrowVocabulary, ConfigurationAndGenerationFollow) {
  write_model(true);
  write_extended(extended_json(), R"({"eos_token":"<|zh|>"})");
  convert_model(folder_ / "base", folder_ / "grown", options());
  const Json config = read_json_file(folder_ / "grown" / "config.json");
  EXPECT_EQ(config["vocab_size"], 320);
  EXPECT_EQ(config["eos_token_id"], 261);
  const Json generation = read_json_file(folder_ / "grown" / "generation_config.json");
  EXPECT_EQ(generation["eos_token_id"], 261);
  EXPECT_EQ(generation["temperature"], 0.5);
  EXPECT_EQ(open_model(folder_ / "grown").load_tokenizer()->size(), 262);
}

TEST_F(GrowVocabulary, RolesThatStayedLeaveTheSettingsAlone) {
  write_model(true);
  write_extended(extended_json(), R"({"eos_token":"<|end|>"})");
  convert_model(folder_ / "base", folder_ / "grown", options());
  EXPECT_EQ(read_json_file(folder_ / "grown" / "config.json")["eos_token_id"], 258);
  EXPECT_EQ(read_json_file(folder_ / "grown" / "generation_config.json"),
            read_json_file(folder_ / "base" / "generation_config.json"));
}

TEST_F(GrowVocabulary, RowsThatOnlyFilledUpBecomeNewPieces) {
  write_model(true, 300);
  write_extended(extended_json());
  convert_model(folder_ / "base", folder_ / "grown", options());
  const at::Tensor old = base(), rows = grown();
  EXPECT_EQ(rows.size(0), 320);
  expect_near(rows[259], (old[0xE4] + old[0xBD]) / 2);
}

TEST_F(GrowVocabulary, AnotherTokenizerIsRefusedAndNothingIsWritten) {
  write_model(true);
  write_extended(tokenizer_json({{"a", "b"}}, {}));
  Json other = Json::parse(extended_json());
  other["model"]["vocab"].erase("the");
  other["model"]["vocab"]["xyz"] = 257;
  other["model"]["merges"] = Json::array({"t h"});
  write_extended(other.dump());
  EXPECT_EQ(error_of([&] { convert_model(folder_ / "base", folder_ / "grown", options()); }),
            (folder_ / "extended").string() +
                ": id 257 is \"xyz\" and was \"the\" in the model's tokenizer; it does not belong "
                "to the model (`tigerbot tokenizer extend` makes one that does)");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "grown"));
}

TEST_F(GrowVocabulary, FewerPiecesThanTheBaseAreRefused) {
  const auto old = parse_tokenizer_json(extended_json(), "old.json");
  const auto now = parse_tokenizer_json(tokenizer_json({}, {}), "new.json");
  EXPECT_NE(error_of([&] { plan_growth(*old, *now, 262, {}, "new"); }).find("fewer than"),
            std::string::npos);
}

TEST_F(GrowVocabulary, ATokenizerMustBeADirectory) {
  write_model(true);
  ConvertOptions convert = options();
  EXPECT_NE(error_of([&] {
              convert_model(folder_ / "base", folder_ / "grown", convert);
            }).find("must be a directory"),
            std::string::npos);
}

TEST_F(GrowVocabulary, GgufGoesInAndComesOut) {
  write_model(true);

  write_extended(extended_json());
  ConvertOptions to_hf = options();
  convert_model(folder_ / "base", folder_ / "grown", to_hf);
  const at::Tensor expected = grown();
  ConvertOptions to_gguf;
  to_gguf.to = ConvertOptions::Format::kGguf;
  try {
    convert_model(folder_ / "base", folder_ / "base.gguf", to_gguf);
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  convert_model(folder_ / "base.gguf", folder_ / "grown", to_hf);
  EXPECT_TRUE(at::equal(grown(), expected));
  to_gguf.grow = to_hf.grow;
  convert_model(folder_ / "base.gguf", folder_ / "grown.gguf", to_gguf);
  EXPECT_TRUE(at::equal(matrix(folder_ / "grown.gguf", "model.embed_tokens.weight"), expected));
  const auto tokenizer = open_model(folder_ / "grown.gguf").load_tokenizer();
  EXPECT_EQ(tokenizer->size(), 320);
  EXPECT_EQ(tokenizer->padding_from, 262);
  EXPECT_EQ(tokenizer->piece(260), spelled("\xE4\xBD\xA0"));
}

}  // namespace
}  // namespace tigerbot
