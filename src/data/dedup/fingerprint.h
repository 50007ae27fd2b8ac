#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "data/dedup/sketch.h"
#include "data/document.h"

/// What the duplicate phases need to know of a document, computed once while its unit is processed
/// and kept in a file beside the unit's document file.
namespace tigerbot::data {

/// Which parts of a fingerprint the run will need.
struct FingerprintSettings {
  bool sketch = true;                     ///< for near duplicates
  bool paragraphs = false;                ///< hashes of paragraphs
  int minimum_paragraph_characters = 50;  ///< shorter ones (after folding) get no hash
};

struct Fingerprint {
  Hash128 hash;               ///< of the folded text
  float quality = 0;          ///< the document's score "quality"; 0 where it has none
  std::uint32_t letters = 0;  ///< length in letters (folded_text.h)
  Sketch sketch{};
};
static_assert(sizeof(Fingerprint) == 152);

struct ParagraphFingerprint {
  std::uint32_t document = 0;   ///< its index in the unit
  std::uint32_t paragraph = 0;  ///< its number in split_paragraphs()
  Hash128 hash;
};

/// Writes the fingerprints of a unit's documents, in their order; whole at commit() or not at all.
class FingerprintWriter {
 public:
  FingerprintWriter(const std::filesystem::path& path, const FingerprintSettings& settings);
  ~FingerprintWriter();

  void append(const Document& document);
  void commit();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Fingerprints that are read. Safe for many threads. A damaged file is an Error.
class FingerprintFile {
 public:
  explicit FingerprintFile(std::filesystem::path path);
  ~FingerprintFile();
  FingerprintFile(const FingerprintFile&) = delete;
  FingerprintFile& operator=(const FingerprintFile&) = delete;

  std::uint64_t size() const { return size_; }
  bool has_sketches() const { return sketches_; }
  bool has_paragraphs() const { return paragraphs_; }
  std::uint64_t paragraphs() const { return paragraph_count_; }
  Fingerprint read(std::uint64_t index) const;
  std::vector<Fingerprint> read(std::uint64_t first, std::uint64_t count) const;
  std::vector<ParagraphFingerprint> read_paragraphs() const;

 private:
  [[noreturn]] void fail_damaged(std::string_view what) const;
  void read_at(std::uint64_t offset, void* to, std::size_t length) const;

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, paragraph_count_ = 0;
  bool sketches_ = false, paragraphs_ = false;
};

/// The paragraphs of a text: what stands between blank lines, or, in a text without blank lines,
/// each line. Each piece holds everything up to the next one's start, so that they join to the
/// text.
std::vector<std::string_view> split_paragraphs(std::string_view text);

}  // namespace tigerbot::data
