#include "data/stages/normalize.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "data/stages/boilerplate.h"
#include "data/stages/chinese_script.h"
#include "data/stages/clean_characters.h"
#include "data/stages/language.h"
#include "data/stages/mojibake.h"
#include "data/stages/personal_data.h"

namespace tigerbot::data {
namespace {

class NormalizeStage final : public DocumentStage {
 public:
  explicit NormalizeStage(JsonReader& reader) {
    mojibake_ = reader.get("mojibake", true);
    cleaning_.controls = reader.get("controls", true);
    cleaning_.white_space = reader.get("white_space", true);
    cleaning_.indentation = reader.get("indentation", true);
    cleaning_.full_width = reader.get("full_width", true);
    cleaning_.compose = reader.get("compose", true);
    boilerplate_ = reader.get("boilerplate", true);
    const std::string chinese = reader.get("chinese", "keep");
    if (chinese == "simplified") {
      converter_ = std::make_unique<ChineseConverter>(ChineseConverter::Target::kSimplified);
    } else if (chinese == "traditional") {
      converter_ = std::make_unique<ChineseConverter>(ChineseConverter::Target::kTraditional);
    } else if (chinese != "keep") {
      fail("{} must be \"keep\", \"simplified\" or \"traditional\", not {}",
           reader.place("chinese"), quote(chinese));
    }
    for (const std::string& word : reader.get("mask", std::vector<std::string>{})) {
      const auto known = std::find_if(std::begin(kMasks), std::end(kMasks),
                                      [&](const Mask& mask) { return mask.word == word; });
      if (known == std::end(kMasks))
        fail("{} has {}; it may have \"email\", \"phone\", \"identity\", \"card\"",
             reader.place("mask"), quote(word));
      mask_ |= mask_bit(known->kind);
    }
  }

  std::string_view name() const override { return "normalize"; }

  std::optional<Drop> apply(Document& document) const override {
    std::string& text = document.text;
    const auto edited = [&](std::string_view what) {
      document.edits.push_back(fmt::format("normalize.{}", what));
    };
    if (!is_valid_utf8(text)) {
      text = replace_invalid_utf8(text);
      edited("invalid_utf8");
    }
    if (mojibake_) {
      std::string repaired = repair_mojibake(text);
      if (!repaired.empty()) {
        text = std::move(repaired);
        edited("mojibake");
      }
    }
    const CleaningEdits cleaned = clean_characters(text, cleaning_);
    if (cleaned.controls) edited("control_characters");
    if (cleaned.invisible) edited("invisible_characters");
    if (cleaned.line_ends) edited("line_ends");
    if (cleaned.white_space) edited("white_space");
    if (cleaned.full_width) edited("full_width");
    if (cleaned.composed) edited("composed");
    if (boilerplate_ && remove_boilerplate_lines(text)) edited("boilerplate");
    if (mask_ != 0) {
      const std::uint8_t found = mask_personal_data(text, mask_);
      for (const Mask& mask : kMasks)
        if ((found & mask_bit(mask.kind)) != 0) edited(mask.edit);
    }
    if (converter_ && is_chinese(document)) {
      std::string converted = converter_->convert(text);
      if (converted != text) {
        text = std::move(converted);
        const bool simplified = converter_->target() == ChineseConverter::Target::kSimplified;
        edited(simplified ? "simplified" : "traditional");
        if (!document.language.empty()) document.language = simplified ? "zh" : "zh-Hant";
      }
    }
    return std::nullopt;
  }

 private:
  struct Mask {
    std::string_view word, edit;
    PersonalData kind;
  };
  static constexpr Mask kMasks[] = {{"email", "masked_email", PersonalData::kEmail},
                                    {"phone", "masked_phone", PersonalData::kPhone},
                                    {"identity", "masked_identity", PersonalData::kIdentity},
                                    {"card", "masked_card", PersonalData::kCard}};

  static bool is_chinese(const Document& document) {
    const std::string language =
        document.language.empty() ? detect_language(document.text).language : document.language;
    return language == "zh" || language == "zh-Hant";
  }

  bool mojibake_ = true, boilerplate_ = true;
  CleaningOptions cleaning_;
  std::uint8_t mask_ = 0;
  std::unique_ptr<ChineseConverter> converter_;
};

}  // namespace

std::unique_ptr<DocumentStage> make_normalize_stage(JsonReader& reader) {
  return std::make_unique<NormalizeStage>(reader);
}

}  // namespace tigerbot::data
