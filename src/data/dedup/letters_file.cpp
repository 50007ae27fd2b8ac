#include "data/dedup/letters_file.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "data/dedup/folded_text.h"
#include "data/document_file.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kOpenFiles = 128;
/// The first byte of a document's record: one byte a letter follows, or two.
constexpr char kNarrow = 1, kWide = 2;

/// The record of a document's letters, in `record`.
void pack_letters(std::u16string_view letters, std::string& record) {
  const bool narrow =
      std::all_of(letters.begin(), letters.end(), [](char16_t unit) { return unit < 256; });
  record.assign(1, narrow ? kNarrow : kWide);
  if (narrow) {
    record.resize(1 + letters.size());
    std::transform(letters.begin(), letters.end(), record.begin() + 1,
                   [](char16_t unit) { return static_cast<char>(unit); });
  } else {
    record.append(reinterpret_cast<const char*>(letters.data()), letters.size() * sizeof(char16_t));
  }
}

void unpack_letters(std::string_view record, std::u16string& letters) {
  letters.clear();
  if (record.empty()) return;
  const bool narrow = record[0] == kNarrow;
  record.remove_prefix(1);
  if (narrow) {
    letters.resize(record.size());
    std::transform(record.begin(), record.end(), letters.begin(),
                   [](char byte) { return static_cast<unsigned char>(byte); });
  } else {
    letters.resize(record.size() / sizeof(char16_t));
    std::memcpy(letters.data(), record.data(), letters.size() * sizeof(char16_t));
  }
}

}  // namespace

void write_letters_file(const std::filesystem::path& path, std::span<const DedupUnit> units,
                        const DocumentNumbering& numbering, std::size_t group,
                        std::span<const std::uint64_t> wanted) {
  PartitionedBytesWriter writer(path, numbering.documents_in(group));
  std::u16string folded, letters;
  std::string record;
  auto next = wanted.begin();
  for (std::size_t unit = numbering.first_unit(group); unit < numbering.first_unit(group + 1);
       ++unit) {
    std::optional<DocumentFile> documents;
    std::optional<DocumentBlock> block;
    std::size_t block_number = 0;
    const std::uint64_t first = numbering.first_of(unit);
    for (std::uint64_t document = 0; document < numbering.size_of(unit); ++document) {
      if (next != wanted.end() && *next == first + document) {
        ++next;
        if (!documents) documents.emplace(units[unit].documents);
        const std::size_t needed = documents->block_of(document);
        if (!block || block_number != needed) {
          block = documents->load_block(needed);
          block_number = needed;
        }
        fold_text(block->text(document), folded);
        keep_letters(folded, letters);
        pack_letters(letters, record);
        writer.append(record);
      }
      writer.close_partition();
    }
  }
  writer.commit();
}

std::shared_ptr<const PartitionedBytes> LettersReader::file(std::size_t group) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(open_.begin(), open_.end(),
                                  [&](const auto& open) { return open.first == group; });
  if (found != open_.end()) {
    open_.splice(open_.begin(), open_, found);
  } else {
    const std::size_t documents = numbering_.documents_in(group);
    open_.emplace_front(group,
                        std::make_shared<const PartitionedBytes>(file_of_(group), documents));
    if (open_.size() > kOpenFiles) open_.pop_back();
  }
  return open_.front().second;
}

void LettersReader::read(std::uint64_t number, std::u16string& letters) {
  const std::size_t group = numbering_.group_of(number);
  const std::uint64_t first = numbering_.first_of(numbering_.first_unit(group));
  static thread_local std::string record;
  file(group)->read(number - first, record);
  unpack_letters(record, letters);
}

}  // namespace tigerbot::data
