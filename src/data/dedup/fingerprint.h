#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "data/document.h"

/// What the duplicate phases need to know of a document, computed once while its unit is processed
/// and kept in a file beside the unit's document file.
namespace tigerbot::data {

/// Which parts of a fingerprint the run will need.
struct FingerprintSettings {
  bool sketch = true;                     ///< for near duplicates
  bool paragraphs = false;                ///< hashes of paragraphs
  int minimum_paragraph_characters = 50;  ///< shorter ones get no hash
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

}  // namespace tigerbot::data
