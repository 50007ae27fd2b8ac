#include <ATen/core/Tensor.h>
#include <gtest/gtest.h>

#include <cstring>

#include "weights/files_for_tests.h"
#include "weights/gguf_file.h"
#include "weights/gguf_names.h"
#include "weights/gguf_tensors.h"
#include "weights/gguf_writer.h"

namespace tigerbot {
namespace {

template <typename T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
void put_string(std::string& bytes, const std::string& text) {
  put<std::uint64_t>(bytes, text.size());
  bytes += text;
}

std::string head(std::uint64_t tensors, std::uint64_t pairs, std::uint32_t version = 3) {
  std::string bytes = "GGUF";
  put(bytes, version);
  put(bytes, tensors);
  put(bytes, pairs);
  return bytes;
}

std::string tensor(const std::string& name, std::vector<std::uint64_t> reversed_shape,
                   std::uint32_t type, std::uint64_t offset) {
  std::string bytes;
  put_string(bytes, name);
  put(bytes, static_cast<std::uint32_t>(reversed_shape.size()));
  for (const auto size : reversed_shape) put(bytes, size);
  put(bytes, type);
  put(bytes, offset);
  return bytes;
}

// Header and zeros of data behind the padding.
std::string with_data(std::string bytes, std::size_t data) {
  bytes.resize((bytes.size() + 31) / 32 * 32 + data);
  return bytes;
}

GgufHeader parse(const std::string& bytes) {
  return parse_gguf_header({reinterpret_cast<const std::byte*>(bytes.data()), bytes.size()},
                           "m.gguf");
}
void expect_refused(const std::string& bytes, const std::string& part) {
  expect_error([&] { parse(bytes); }, part);
}

TEST(GgufHeader, ReadsEveryKindOfValueThatThePythonWriterMakes) {
  const GgufFile file(golden("python.gguf"));
  const GgufHeader& header = file.header;
  EXPECT_EQ(header.version, 3u);
  EXPECT_EQ(header.get_string("general.architecture"), "llama");
  EXPECT_EQ(header.get_integer("t.u8"), 200);
  EXPECT_EQ(header.get_integer("t.i8"), -3);
  EXPECT_EQ(header.get_integer("t.u16"), 65000);
  EXPECT_EQ(header.get_integer("t.i16"), -300);
  EXPECT_EQ(header.get_integer("t.u32"), 4'000'000'000);
  EXPECT_EQ(header.get_integer("t.i32"), -70000);
  EXPECT_EQ(header.get_integer("t.u64"), std::int64_t{1} << 40);
  EXPECT_EQ(header.get_integer("t.i64"), -(std::int64_t{1} << 40));
  EXPECT_EQ(header.get_number("t.f32"), 0.5);
  EXPECT_EQ(header.get_number("t.f64"), 0.1);
  EXPECT_EQ(header.find_bool("t.bool"), true);
  EXPECT_EQ(header.get_string("t.string"), "老虎 🐯");
  const GgufArray& strings = *header.find_array("t.strings");
  EXPECT_EQ(strings.strings, (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ(header.find_array("t.integers")->integer(1), -2);
  EXPECT_EQ(header.find_array("t.floats")->number(1), -1.5);
  ASSERT_EQ(header.tensors.size(), 3u);
  EXPECT_EQ(header.find_tensor("a")->shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(header.find_tensor("c")->type->name, "Q8_0");
  EXPECT_EQ(header.find_tensor("c")->bytes, 68u);
}

TEST(GgufHeader, SaysWhichValueIsMissingOrOfAnotherType) {
  const GgufFile file(golden("python.gguf"));
  expect_error([&] { file.header.get_integer("t.none"); }, "lacks t.none");
  expect_error([&] { file.header.get_integer("t.string"); }, "t.string is of type string");
  expect_error([&] { file.header.get_string("t.u8"); }, "t.u8 is of type uint8");
  expect_error([&] { file.header.find_array("t.u8"); }, "an array is needed");
}

TEST(GgufHeader, RefusesWhatIsNoGguf) {
  expect_refused("", "truncated");
  expect_refused("GGML....", "no GGUF file");
  expect_refused(head(0, 0, 1), "version 1");
  expect_refused(head(0, 0, 4), "version 4");
  expect_refused(head(0, 0, 0x03000000), "big-endian");
}

TEST(GgufHeader, RefusesAbsurdCountsWithoutAllocating) {
  const std::uint64_t absurd = UINT64_MAX;
  expect_refused(head(absurd, 0), "truncated");
  expect_refused(head(0, absurd), "truncated");
  std::string bytes = head(0, 1);
  put(bytes, absurd);
  expect_refused(bytes, "the format allows");
  bytes = head(0, 1);
  put_string(bytes, "k");
  put(bytes, GgufValueType::kString);
  put(bytes, absurd);
  expect_refused(bytes, "are left");
  for (const auto type : {GgufValueType::kString, GgufValueType::kUint8, GgufValueType::kFloat64,
                          GgufValueType::kArray}) {
    bytes = head(0, 1);
    put_string(bytes, "k");
    put(bytes, GgufValueType::kArray);
    put(bytes, type);
    put(bytes, absurd);
    expect_refused(bytes, "left");
  }
  expect_refused(with_data(head(1, 0) + tensor("a", {absurd, 2}, 0, 0), 64), "absurd shape");
  expect_refused(with_data(head(1, 0) + tensor("a", {1ull << 40, 1ull << 40}, 0, 0), 64),
                 "absurd shape");
  expect_refused(with_data(head(1, 0) + tensor("a", {1ull << 62}, 0, 0), 64), "absurd shape");
}

TEST(GgufHeader, RefusesArraysNestedWithoutEnd) {
  std::string bytes = head(0, 1);
  put_string(bytes, "k");
  put(bytes, GgufValueType::kArray);
  for (int i = 0; i < 10000; ++i) {
    put(bytes, GgufValueType::kArray);
    put<std::uint64_t>(bytes, 1);
  }
  expect_refused(bytes, "nested deeper");
}

TEST(GgufHeader, RefusesDamagedMetadata) {
  std::string bytes = head(0, 1);
  put_string(bytes, "");
  put(bytes, GgufValueType::kUint8);
  expect_refused(bytes, "empty metadata key");
  bytes = head(0, 1);
  put_string(bytes, "k");
  put<std::uint32_t>(bytes, 13);
  expect_refused(bytes, "unknown type 13");
  bytes = head(0, 1);
  put_string(bytes, "k");
  put(bytes, GgufValueType::kBool);
  put<std::uint8_t>(bytes, 2);
  expect_refused(bytes, "boolean");
  bytes = head(0, 2);
  for (int i = 0; i < 2; ++i) {
    put_string(bytes, "k");
    put(bytes, GgufValueType::kBool);
    put<std::uint8_t>(bytes, 1);
  }
  expect_refused(bytes, "\"k\" stands twice");
  for (const std::uint32_t alignment : {0u, 1u, 24u, 1u << 31}) {
    bytes = head(0, 1);
    put_string(bytes, "general.alignment");
    put(bytes, GgufValueType::kUint32);
    put(bytes, alignment);
    expect_refused(bytes, "power of two");
  }
}

TEST(GgufHeader, RefusesTensorsThatDoNotFit) {
  expect_refused(with_data(head(1, 0) + tensor("a", {8}, 0, 0), 31),
                 "truncated or damaged: tensor");
  expect_refused(with_data(head(1, 0) + tensor("a", {8}, 0, 1ull << 63), 32),
                 "truncated or damaged");
  expect_refused(with_data(head(1, 0) + tensor("a", {8}, 0, 8), 64), "not aligned");
  expect_refused(with_data(head(1, 0) + tensor("a", {33}, 2, 0), 64), "blocks of 32");
  expect_refused(with_data(head(1, 0) + tensor("a", {8}, 99, 0), 64), "unknown type number 99");
  expect_refused(with_data(head(1, 0) + tensor("a", {1, 1, 1, 1, 1}, 0, 0), 64), "5 dimensions");
  expect_refused(with_data(head(2, 0) + tensor("a", {8}, 0, 0) + tensor("a", {8}, 0, 32), 64),
                 "stands twice");
  expect_refused(with_data(head(2, 0) + tensor("a", {16}, 0, 0) + tensor("b", {8}, 0, 32), 64),
                 "overlap");
  EXPECT_EQ(parse(with_data(head(1, 0) + tensor("a", {8}, 0, 0), 32)).tensors.size(), 1u);
}

TEST(GgufHeader, TakesATensorWithoutElementsAtTheEnd) {
  const std::string bytes = head(1, 0) + tensor("a", {0}, 0, 0);
  const GgufHeader header = parse(bytes);
  EXPECT_LE(header.tensors[0].begin, bytes.size());
}

TEST(GgufWriter, WhatItWritesReadsBackTheSame) {
  TemporaryFolder folder;
  const GgufFile source(golden("python.gguf"));
  GgufWriter writer;
  for (const auto& [key, value] : source.header.metadata) writer.add_value(key, value);
  writer.add("x.string", "tiger");
  writer.add_uint32("x.u32", 7);
  writer.add_float32("x.f32", 0.25);
  writer.add_bool("x.bool", false);
  writer.add_strings("x.strings", std::vector<std::string>{"a", "b"});
  writer.add_int32s("x.integers", std::vector<std::int32_t>{-1, 5});
  writer.add_float32s("x.floats", std::vector<float>{1.5f});
  for (const auto& info : source.header.tensors) {
    writer.add_tensor(std::string(info.name), info.shape, info.type->type, [&source, &info] {
      const auto* begin = source.map.data() + info.begin;
      return std::vector<std::byte>(begin, begin + info.bytes);
    });
  }
  writer.write(folder / "m.gguf");
  const GgufFile file(folder / "m.gguf");
  ASSERT_EQ(file.header.metadata.size(), source.header.metadata.size() + 7);
  EXPECT_EQ(file.header.get_number("t.f64"), 0.1);
  EXPECT_EQ(file.header.get_integer("t.i64"), -(std::int64_t{1} << 40));
  EXPECT_EQ(file.header.get_string("t.string"), "老虎 🐯");
  EXPECT_EQ(file.header.find_array("t.integers")->integer(2), 3);
  EXPECT_EQ(file.header.find_array("x.strings")->strings[1], "b");
  EXPECT_EQ(file.header.find_array("x.integers")->integer(0), -1);
  EXPECT_EQ(file.header.find_bool("x.bool"), false);
  for (const auto& info : source.header.tensors) {
    const GgufTensorInfo* found = file.header.find_tensor(info.name);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->shape, info.shape);
    EXPECT_EQ(found->begin % 32, 0u);
    EXPECT_EQ(
        std::memcmp(file.map.data() + found->begin, source.map.data() + info.begin, info.bytes), 0);
  }
}

TEST(GgufNames, MapThereAndBackForEveryFamily) {
  ModelConfig config;
  config.num_attention_heads = 6;
  config.num_key_value_heads = 2;
  const std::pair<const char*, const char*> cases[] = {
      {"llama", "model.layers.12.self_attn.q_proj.weight"},
      {"mistral", "model.layers.0.mlp.down_proj.weight"},
      {"qwen2", "model.layers.3.self_attn.k_proj.bias"},
      {"qwen3", "model.layers.3.self_attn.q_norm.weight"},
      {"llama", "lm_head.weight"},
      {"bloom", "transformer.h.7.self_attention.query_key_value.bias"},
      {"bloom", "transformer.word_embeddings_layernorm.weight"},
      {"bert", "encoder.layer.5.attention.output.LayerNorm.bias"},
      {"bert", "embeddings.token_type_embeddings.weight"}};
  for (const auto& [model_type, name] : cases) {
    config.model_type = model_type;
    config.family = config.model_type == "bloom"  ? ModelConfig::Family::kBloom
                    : config.model_type == "bert" ? ModelConfig::Family::kBert
                                                  : ModelConfig::Family::kLlama;
    const auto there = to_gguf_name(name, config);
    ASSERT_TRUE(there) << name;
    const auto back = to_hugging_face_name(there->name, config);
    ASSERT_TRUE(back) << there->name;
    EXPECT_EQ(back->name, name);
    EXPECT_EQ(back->order, there->order);
  }
  EXPECT_FALSE(to_hugging_face_name("blk.0.attn_q.scale", config));
  EXPECT_FALSE(to_gguf_name("pooler.dense.weight", config));
}

TEST(GgufNames, RowOrdersAreInverse) {
  for (const auto& [order, heads, rows] :
       {std::tuple{RowOrder::kRotaryPairs, 3, 24}, std::tuple{RowOrder::kFusedByHead, 2, 30},
        std::tuple{RowOrder::kSame, 1, 5}}) {
    for (std::int64_t row = 0; row < rows; ++row) {
      EXPECT_EQ(hugging_face_row(order, heads, rows, gguf_row(order, heads, rows, row)), row);
    }
  }
  // Head of 8: halves 0..3 and 4..7 become pairs (0, 4), (1, 5), ...
  EXPECT_EQ(gguf_row(RowOrder::kRotaryPairs, 3, 24, 8 + 1), 8 + 2);
  EXPECT_EQ(gguf_row(RowOrder::kRotaryPairs, 3, 24, 8 + 5), 8 + 3);
  // 2 heads of 5: row 5 of Hugging Face is head 0's first key, which lies behind all 10 queries.
  EXPECT_EQ(gguf_row(RowOrder::kFusedByHead, 2, 30, 5), 10);
}

}  // namespace
}  // namespace tigerbot
