#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "tokenizer/tokenizer.h"

namespace {

// Texts with a bit of everything; the file may have its own ideas of what to do with them.
constexpr std::string_view kTexts[] = {"", " Hello, world's 123 \n\n", "中文。テスト 한국 привет",
                                       "a\u0301 \U0001F600\u200d\xff\xe4\xb8",
                                       "<|end|> [MASK] word<l>  \t"};

}  // namespace

// Whatever the bytes are, either an Error comes or a tokenizer whose ids are all below its size and
// whose stream of decoded parts is the decoded whole.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto tokenizer = tigerbot::parse_tokenizer_json(
        std::string_view(reinterpret_cast<const char*>(data), size), "fuzz.json");
    for (const std::string_view text : kTexts) {
      const std::vector<tigerbot::TokenId> ids = tokenizer->encode(text);
      tigerbot::StreamDecoder stream(*tokenizer, false);
      std::string streamed;
      for (const tigerbot::TokenId id : ids) {
        if (id < 0 || id >= tokenizer->size()) std::abort();
        streamed += stream.push(id);
      }
      streamed += stream.finish();
      if (streamed != tokenizer->decode(ids, false)) std::abort();
    }
  } catch (const tigerbot::Error&) {
  }
  return 0;
}
