#pragma once

#include <memory>
#include <string>
#include <string_view>

/// Simplified and traditional Chinese.
namespace tigerbot::data {

/// The simplified form of a traditional character, other characters as they are.
char32_t to_simplified(char32_t c);

/// -1 for a character that only simplified text has, 1 for one that only traditional text has, 0
/// for those that both have (台, 后, 里, ...) and all others.
int chinese_script_sign(char32_t c);

/// Converts between the scripts word by word, with OpenCC's dictionaries (libopencc-data).
class ChineseConverter {
 public:
  enum class Target { kSimplified, kTraditional };

  /// An Error if OpenCC's data is not installed.
  explicit ChineseConverter(Target target);
  ~ChineseConverter();

  Target target() const { return target_; }
  std::string convert(std::string_view text) const;

 private:
  struct Impl;
  Target target_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tigerbot::data
