#include <utility>

#include "tokenizer/tokenizer.h"

namespace tigerbot {
namespace {

// For a tokenizer that decodes whole texts only: new text is what an id adds to the decoding of the
// few ids before it. It waits while the last character is unfinished (U+FFFD).
class WindowDecoder : public IncrementalDecoder {
 public:
  WindowDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
      : tokenizer_(tokenizer), skip_special_tokens_(skip_special_tokens) {}

  std::string push(TokenId id) override {
    window_.push_back(id);
    const std::string text = tokenizer_.decode(window_, skip_special_tokens_);
    constexpr std::string_view kUnfinished = "\uFFFD";
    if (text.size() <= given_ || text.ends_with(kUnfinished)) return {};
    std::string added = text.substr(given_);
    // The ids that gave this text stay as context for the next ones; those before them go.
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(context_));
    context_ = window_.size();
    given_ = tokenizer_.decode(window_, skip_special_tokens_).size();
    return added;
  }

  std::string finish() override {
    const std::string text = tokenizer_.decode(window_, skip_special_tokens_);
    std::string rest = text.size() > given_ ? text.substr(given_) : std::string();
    given_ = text.size();
    return rest;
  }

 private:
  const Tokenizer& tokenizer_;
  bool skip_special_tokens_;
  std::vector<TokenId> window_;
  std::size_t context_ = 0;  // ids at the front of the window whose text has been given out
  std::size_t given_ = 0;    // bytes of the window's text that have been given out
};

}  // namespace

std::unique_ptr<IncrementalDecoder> Tokenizer::start_decoding(bool skip_special_tokens) const {
  return std::make_unique<WindowDecoder>(*this, skip_special_tokens);
}

}  // namespace tigerbot
