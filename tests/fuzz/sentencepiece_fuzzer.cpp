// A SentencePiece model file from anywhere: either one clear error, or a tokenizer that encodes any
// text and decodes it again, at once and a piece at a time.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view model(reinterpret_cast<const char*>(data), size);
  std::string_view text = "a b  \xE8\xAF\xAD the <s> \xE2\x96\x81 1\xFF e\xCC\x81\n";
  // Two bytes that begin no field of a model separate it from the text.
  constexpr std::string_view kSeparator = "\xFF\xFE";
  const std::size_t separator = model.find(kSeparator);
  if (separator != std::string_view::npos) {
    text = model.substr(separator + kSeparator.size());
    model = model.substr(0, separator);
  }
  try {
    const auto tokenizer = tigerbot::parse_sentencepiece_model(model, "fuzz");
    const auto ids = tokenizer->encode(text);
    for (const tigerbot::TokenId id : ids) {
      if (id < 0 || id >= tokenizer->size()) std::abort();
    }
    tigerbot::StreamDecoder stream(*tokenizer, false);
    std::string decoded;
    for (const tigerbot::TokenId id : ids) decoded += stream.push(id);
    decoded += stream.finish();
    if (decoded != tokenizer->decode(ids, false)) std::abort();
  } catch (const tigerbot::Error&) {
  }
  return 0;
}
