#include "data/shards/tokenize_parts.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "data/reader.h"

namespace tigerbot::data {

TokenizePlan plan_tokenizing(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  if (options.part_bytes < 1) fail("--part-bytes must be at least 1");
  ReaderOptions reader;
  reader.format = options.format;
  reader.text_field = options.text_field;
  reader.text_unit = options.text_unit;
  TokenizePlan plan;
  Json key = {{"tokenizer", tokenizer_fingerprint(tokenizer)},
              {"stamp", options.tokenizer_stamp},
              {"format", options.format},
              {"text", {options.text_field, options.text_unit}},
              {"fields", {options.source_field, options.language_field}},
              {"bos", options.bos_id.value_or(-1)},
              {"eod", options.eod_id.value_or(-1)},
              {"special", options.parse_special_tokens},
              {"split", options.split_by_source},
              {"skip", options.skip_bad_rows},
              {"part_bytes", options.part_bytes}};
  std::uint64_t room = 0;
  for (const auto& file : find_inputs(options.inputs)) {
    const std::uint64_t size = size_of_file(file);
    const auto modified = std::filesystem::last_write_time(file).time_since_epoch().count();
    key["files"].push_back({file.string(), size, modified});
    plan.input_bytes += size;
    if (size > options.part_bytes && can_split(file, reader)) {
      for (std::uint64_t begin = 0; begin < size; begin += options.part_bytes) {
        const std::uint64_t end = std::min(size, begin + options.part_bytes);
        plan.parts.push_back({{file, begin, end, end - begin}});
      }
      room = 0;
      continue;
    }
    if (size > room) {
      plan.parts.emplace_back();
      room = options.part_bytes;
    }
    plan.parts.back().push_back({.file = file, .bytes = size});
    room -= std::min(size, room);
  }
  plan.key = sha256_hex(key.dump(-1, ' ', false, Json::error_handler_t::replace));
  return plan;
}

}  // namespace tigerbot::data
