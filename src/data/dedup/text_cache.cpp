#include "data/dedup/text_cache.h"

#include <algorithm>

#include "data/dedup/folded_text.h"

namespace tigerbot::data {
namespace {

constexpr std::size_t kOpenFiles = 128;

}  // namespace

std::shared_ptr<const DocumentFile> TextCache::file(std::size_t unit) {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(files_.begin(), files_.end(),
                                  [&](const auto& open) { return open.first == unit; });
  if (found != files_.end()) {
    files_.splice(files_.begin(), files_, found);
  } else {
    files_.emplace_front(unit, std::make_shared<const DocumentFile>(units_[unit].documents));
    if (files_.size() > kOpenFiles) files_.pop_back();
  }
  return files_.front().second;
}

std::shared_ptr<const DocumentBlock> TextCache::block(std::size_t unit, std::uint64_t document) {
  const std::shared_ptr<const DocumentFile> from = file(unit);
  const std::size_t number = from->block_of(document);
  const Key key = std::uint64_t{unit} << 32 | number;
  {
    const std::lock_guard lock(mutex_);
    const auto found = where_.find(key);
    if (found != where_.end()) {
      blocks_.splice(blocks_.begin(), blocks_, found->second);
      return blocks_.front().block;
    }
  }
  auto loaded = std::make_shared<const DocumentBlock>(from->load_block(number));
  const std::lock_guard lock(mutex_);
  if (where_.contains(key)) return loaded;  // another thread was faster
  blocks_.push_front({key, loaded});
  where_[key] = blocks_.begin();
  held_ += loaded->bytes.size();
  while (held_ > limit_ && blocks_.size() > 1) {
    held_ -= blocks_.back().block->bytes.size();
    where_.erase(blocks_.back().key);
    blocks_.pop_back();
  }
  return loaded;
}

void TextCache::letters(std::uint64_t number, std::u16string& letters) {
  const DocumentNumbering::Place place = numbering_.place_of(number);
  static thread_local std::u16string folded;
  fold_text(block(place.unit, place.document)->text(place.document), folded);
  keep_letters(folded, letters);
}

}  // namespace tigerbot::data
