#include "model/config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tigerbot {
namespace {

std::string message_of(const std::string& json) {
  try {
    parse_model_config(json, "dir/config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "no error";
}

/// A good Llama config whose `key` is replaced by `value` (raw JSON); an empty value removes it.
std::string llama_json(const std::string& key = "", const std::string& value = "",
                       const std::string& model_type = "llama") {
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"model_type", '"' + model_type + '"'},
      {"vocab_size", "100"},
      {"hidden_size", "48"},
      {"intermediate_size", "80"},
      {"num_hidden_layers", "3"},
      {"num_attention_heads", "6"},
      {"num_key_value_heads", "2"},
      {"max_position_embeddings", "64"},
  };
  std::string out;
  bool replaced = false;
  const auto add = [&](const std::string& name, const std::string& raw) {
    if (!out.empty()) out += ", ";
    out += '"' + name + "\": " + raw;
  };
  for (const auto& [name, raw] : fields) {
    if (name != key) {
      add(name, raw);
      continue;
    }
    replaced = true;
    if (!value.empty()) add(name, value);
  }
  if (!replaced && !key.empty()) add(key, value);
  return '{' + out + '}';
}

ModelConfig parse(const std::string& json) { return parse_model_config(json, "config.json"); }

TEST(Config, AbsentKeysTakeTheLlamaDefaults) {
  const ModelConfig config = parse(llama_json());
  EXPECT_EQ(config.family, ModelConfig::Family::kLlama);
  EXPECT_EQ(config.head_dim, 8);
  EXPECT_EQ(config.num_key_value_heads, 2);
  EXPECT_EQ(config.norm_eps, 1e-6);
  EXPECT_EQ(config.rope_theta, 10000.0);
  EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::kNone);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_FALSE(config.attention_bias);
  EXPECT_EQ(parse(llama_json("num_key_value_heads", "")).num_key_value_heads, 6);
}

TEST(Config, OldAndNewRopeKeysMeanTheSame) {
  const std::string scaling =
      R"("factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 32)";
  const std::vector<std::string> ways = {
      llama_json("rope_theta",
                 "500000, \"rope_scaling\": {\"rope_type\": \"llama3\", " + scaling + "}"),
      llama_json("rope_theta", "500000, \"rope_scaling\": {\"type\": \"llama3\", " + scaling + "}"),
      llama_json("rope_parameters",
                 "{\"rope_type\": \"llama3\", \"rope_theta\": 500000, " + scaling + "}"),
  };
  for (const std::string& json : ways) {
    const ModelConfig config = parse(json);
    EXPECT_EQ(config.rope_theta, 500000.0) << json;
    EXPECT_EQ(config.rope_scaling.kind, RopeScaling::Kind::kLlama3) << json;
    EXPECT_EQ(config.rope_scaling.factor, 8.0) << json;
    EXPECT_EQ(config.rope_scaling.original_max_position_embeddings, 32) << json;
  }
}

TEST(Config, YarnTakesItsFactorFromTheLengthsWhenItIsAbsent) {
  const ModelConfig config = parse(llama_json(
      "rope_scaling", R"({"rope_type": "yarn", "original_max_position_embeddings": 16})"));
  EXPECT_EQ(config.rope_scaling.factor, 4.0);
  EXPECT_EQ(config.rope_scaling.beta_fast, 32.0);
}

TEST(Config, WindowsFollowEachFamilysRule) {
  EXPECT_EQ(parse(llama_json("sliding_window", "8")).sliding_window, 0);
  EXPECT_EQ(parse(llama_json("sliding_window", "8", "mistral")).window_of_layer(2), 8);
  EXPECT_EQ(parse(llama_json("sliding_window", "null", "mistral")).sliding_window, 0);
  EXPECT_EQ(parse(llama_json("", "", "mistral")).sliding_window, 4096);
  EXPECT_EQ(parse(llama_json("sliding_window", "8", "qwen2")).sliding_window, 0);
  const ModelConfig qwen = parse(llama_json(
      "sliding_window", "8, \"use_sliding_window\": true, \"max_window_layers\": 1", "qwen2"));
  EXPECT_EQ(qwen.window_of_layer(0), 0);
  EXPECT_EQ(qwen.window_of_layer(1), 8);
  const ModelConfig listed =
      parse(llama_json("sliding_window",
                       "8, \"use_sliding_window\": true, \"layer_types\": [\"sliding_attention\", "
                       "\"full_attention\", \"sliding_attention\"]",
                       "qwen3"));
  EXPECT_EQ(listed.window_of_layer(0), 8);
  EXPECT_EQ(listed.window_of_layer(1), 0);
  EXPECT_EQ(listed.head_dim, 128);
}

TEST(Config, BiasesFollowEachFamilysRule) {
  const ModelConfig qwen2 = parse(llama_json("", "", "qwen2"));
  EXPECT_TRUE(qwen2.attention_bias);
  EXPECT_FALSE(qwen2.attention_output_bias);
  const ModelConfig llama = parse(llama_json("attention_bias", "true, \"mlp_bias\": true"));
  EXPECT_TRUE(llama.attention_bias && llama.attention_output_bias && llama.mlp_bias);
  EXPECT_FALSE(parse(llama_json("attention_bias", "true", "mistral")).attention_bias);
}

TEST(Config, BloomNamesItsSizesInTwoWays) {
  const ModelConfig config = parse(
      R"({"model_type": "bloom", "vocab_size": 50, "n_embed": 24, "n_layer": 2, "num_attention_heads": 3})");
  EXPECT_EQ(config.family, ModelConfig::Family::kBloom);
  EXPECT_EQ(config.hidden_size, 24);
  EXPECT_EQ(config.intermediate_size, 96);
  EXPECT_EQ(config.num_attention_heads, 3);
  EXPECT_TRUE(config.tie_word_embeddings);
}

TEST(Config, TokenIdsMayBeOneOrMany) {
  const ModelConfig config =
      parse(llama_json("eos_token_id",
                       "[2, 7], \"bos_token_id\": 1, \"pad_token_id\": -1, \"torch_dtype\": "
                       "\"torch.bfloat16\""));
  EXPECT_EQ(config.eos_token_ids, (std::vector<std::int64_t>{2, 7}));
  EXPECT_EQ(config.bos_token_id, 1);
  EXPECT_EQ(config.pad_token_id, std::nullopt);
  EXPECT_EQ(config.torch_dtype, "bfloat16");
}

TEST(Config, WhatIsWrittenReadsBackTheSame) {
  const std::vector<std::string> jsons = {
      llama_json(),
      llama_json("rope_scaling", R"({"type": "linear", "factor": 2.5})"),
      llama_json("rope_scaling", R"({"rope_type": "dynamic", "factor": 2})"),
      llama_json("rope_scaling",
                 R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 16,
                     "beta_fast": 16, "mscale": 0.7, "mscale_all_dim": 0.5, "truncate": false})"),
      llama_json("rope_parameters",
                 R"({"rope_type": "llama3", "rope_theta": 1e6, "factor": 8,
                     "original_max_position_embeddings": 32})"),
      llama_json("attention_bias", "true, \"head_dim\": 10, \"eos_token_id\": [1, 2]"),
      llama_json("sliding_window", "16", "mistral"),
      llama_json("use_sliding_window", "true, \"sliding_window\": 9, \"max_window_layers\": 2",
                 "qwen2"),
      llama_json("head_dim", "16", "qwen3"),
      R"({"model_type": "bloom", "vocab_size": 50, "hidden_size": 24, "n_layer": 2, "n_head": 3})",
      R"({"model_type": "bert", "vocab_size": 50, "hidden_size": 24, "intermediate_size": 30,
          "num_hidden_layers": 2, "num_attention_heads": 3, "max_position_embeddings": 64,
          "type_vocab_size": 1, "layer_norm_eps": 1e-9, "dtype": "float32"})",
  };
  for (const std::string& json : jsons) {
    const ModelConfig config = parse(json);
    const std::string written = format_model_config(config);
    EXPECT_EQ(format_model_config(parse(written)), written) << json;
    EXPECT_EQ(parse(written).rope_scaling.kind, config.rope_scaling.kind);
    EXPECT_EQ(parse(written).head_dim, config.head_dim);
    EXPECT_EQ(parse(written).window_of_layer(2 % config.num_hidden_layers),
              config.window_of_layer(2 % config.num_hidden_layers));
  }
}

TEST(Config, MistakesNameTheFileAndTheKey) {
  EXPECT_EQ(
      message_of(llama_json("model_type", "\"mamba\"")),
      "dir/config.json: model_type is \"mamba\"; llama, mistral, qwen2, qwen3, bloom and bert "
      "run here");
  EXPECT_EQ(message_of(llama_json("hidden_size", "")),
            "dir/config.json: hidden_size is missing; a model's config.json gives it");
  EXPECT_EQ(message_of(llama_json("num_hidden_layers", "-4")),
            "dir/config.json: num_hidden_layers is -4; it must be from 1 to 65536");
  EXPECT_EQ(message_of(llama_json("num_key_value_heads", "4")),
            "dir/config.json: num_attention_heads 6 is no multiple of num_key_value_heads, which "
            "is 4");
  EXPECT_EQ(message_of(llama_json("rope_scaling", R"({"rope_type": "longrope", "factor": 2})")),
            "dir/config.json: rope_scaling.rope_type is \"longrope\"; the known ones are default, "
            "linear, dynamic, yarn and llama3");
}

TEST(Config, AbsurdValuesAreErrors) {
  const std::vector<std::string> bad = {
      "",
      "{",
      "[]",
      "{}",
      "null",
      std::string(100000, '['),
      llama_json("model_type", "7"),
      llama_json("model_type", ""),
      llama_json("vocab_size", "0"),
      llama_json("vocab_size", "1e30"),
      llama_json("vocab_size", "10.5"),
      llama_json("vocab_size", "\"10\""),
      llama_json("vocab_size", "18446744073709551615"),
      llama_json("hidden_size", "50"),
      llama_json("head_dim", "7"),
      llama_json("head_dim", "16777216"),
      llama_json("num_attention_heads", "null"),
      llama_json("max_position_embeddings", ""),
      llama_json("rms_norm_eps", "-1"),
      llama_json("rms_norm_eps", "\"small\""),
      llama_json("hidden_act", "\"relu\""),
      llama_json("tie_word_embeddings", "1"),
      llama_json("rope_theta", "0"),
      llama_json("rope_scaling", "3"),
      llama_json("rope_scaling", R"({"rope_type": "linear"})"),
      llama_json("rope_scaling", R"({"rope_type": "linear", "factor": -2})"),
      llama_json("rope_scaling", R"({"type": "llama3", "factor": 2, "high_freq_factor": 1})"),
      llama_json("rope_parameters", R"({"partial_rotary_factor": 0.5})"),
      llama_json("eos_token_id", "[1, \"two\"]"),
      llama_json("eos_token_id", "-5"),
      llama_json("vocab_size", "10, \"vocab_size\": 11"),
      llama_json("use_sliding_window", "true, \"layer_types\": [\"full_attention\"]", "qwen2"),
      llama_json("num_key_value_heads", "", "mistral"),
      R"({"model_type": "bloom", "vocab_size": 50, "hidden_size": 25, "n_layer": 2, "n_head": 3})",
      R"({"model_type": "bert", "vocab_size": 50, "hidden_size": 24, "intermediate_size": 30,
          "num_hidden_layers": 2, "num_attention_heads": 3, "max_position_embeddings": 64,
          "position_embedding_type": "relative_key"})",
  };
  for (const std::string& json : bad) {
    const std::string message = message_of(json);
    EXPECT_TRUE(message.starts_with("dir/config.json")) << json << " -> " << message;
    EXPECT_LT(message.size(), 200u) << message;
  }
}

TEST(Config, CutOrDamagedFilesAreErrorsAndNeverCrash) {
  const std::string whole = llama_json(
      "rope_scaling", R"({"rope_type": "yarn", "factor": 4, "beta_fast": 16, "truncate": false})");
  ASSERT_EQ(message_of(whole), "no error");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_NE(message_of(whole.substr(0, length)), "no error") << length;
  }
  std::uint32_t state = 1;
  for (int round = 0; round < 5000; ++round) {
    std::string damaged = whole;
    for (int flips = 0; flips <= round % 3; ++flips) {
      state = state * 1664525 + 1013904223;
      damaged[(state >> 8) % damaged.size()] = static_cast<char>(state >> 24);
    }
    message_of(damaged);  // any answer but another exception
  }
}

}  // namespace
}  // namespace tigerbot
