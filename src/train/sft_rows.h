#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace tigerbot::train {

/// A conversation to learn from, in OpenAI's form whatever the row's was.
struct Conversation {
  /// Objects with role (system, user, assistant, tool) and content; an assistant's may have
  /// tool_calls.
  nlohmann::ordered_json messages = nlohmann::ordered_json::array();
  nlohmann::ordered_json tools;  ///< functions in OpenAI's form, or null
};

/// Reads one row, whose fields tell what it is:
///   instruction, input, output (and system, history)   the report's rows, Alpaca
///   messages (and tools)                               OpenAI
///   conversations (and system, tools)                  ShareGPT
/// A row with no answer, or of no known form, is an Error that begins with `place`.
Conversation parse_sft_row(const nlohmann::ordered_json& row, const std::string& place);

/// Calls `take` with each row of a file of JSON lines or of one JSON array, plain or compressed
/// (gzip, zstd, bzip2), with its place for messages: `data/sft.jsonl:12`.
void for_each_row(
    const std::filesystem::path& file,
    const std::function<void(const nlohmann::ordered_json& row, const std::string& place)>& take);

}  // namespace tigerbot::train
