#include "data/shards/source_order.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "data/shards/manifest.h"

namespace tigerbot::data {
namespace {

void check_manifest(const TokenShard& shard, const std::string& tokenizer) {
  const auto manifest = read_shard_manifest(shard.prefix());
  if (!manifest) return;
  const std::string path = shard.prefix().string() + ".json";
  if (!tokenizer.empty() && manifest->tokenizer != tokenizer)
    fail(
        "{}: the shard was written by another tokenizer ({} of {} pieces) than the model's; run "
        "`tigerbot data tokenize` with the model's",
        path, manifest->tokenizer_kind, manifest->vocabulary_size);
  require_manifest_of(*manifest, shard);
}

}  // namespace

SourceOrder::SourceOrder(const ShardSource& source, const ShardReaderOptions& options)
    : window_(static_cast<std::uint64_t>(options.sequence_length)),
      seed_(options.seed),
      // By name, so that a source keeps its order when others come or go.
      stream_(hash128(source.name).low << 24),
      vocabulary_size_(options.vocabulary_size),
      shuffle_(options.shuffle) {
  if (source.shards.empty()) fail("source {}: no shards are given", quote(source.name));
  for (const auto& prefix : source.shards) {
    const TokenShard& shard = shards_.emplace_back(prefix);
    check_manifest(shard, options.tokenizer);
    first_document_.push_back(first_document_.back() + shard.documents());
    first_window_.push_back(first_window_.back() + (shard.tokens() + window_ - 1) / window_);
    tokens_ += shard.tokens();
  }
  if (tokens_ == 0)
    fail("source {}: its shards have no tokens ({})", quote(source.name),
         source.shards.front().string());
}

std::uint64_t SourceOrder::items() const {
  return shuffle_ == Shuffle::kWindows ? first_window_.back() : first_document_.back();
}

std::uint64_t SourceOrder::item(std::uint64_t epoch, std::uint64_t place) {
  if (shuffle_ == Shuffle::kNone) return place;
  if (!permutation_ || epoch != epoch_) {
    permutation_.emplace(items(), seed_, stream_ + epoch);
    epoch_ = epoch;
  }
  return (*permutation_)(place);
}

SourceOrder::Place SourceOrder::place_of(std::uint64_t number,
                                         const std::vector<std::uint64_t>& first) const {
  std::size_t index = 0;
  if (shards_.size() > 1)
    index = static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), number) -
                                     first.begin()) -
            1;
  return {&shards_[index], number - first[index], index};
}

std::uint64_t SourceOrder::length_of_document(std::uint64_t document) const {
  const Place place = place_of(document, first_document_);
  return place.shard->length(place.number);
}

std::uint64_t SourceOrder::length_of_window(std::uint64_t window) const {
  const Place place = place_of(window, first_window_);
  return std::min(window_, place.shard->tokens() - place.number * window_);
}

std::vector<ShardPiece> SourceOrder::pieces_of_window(std::uint64_t window) const {
  const Place place = place_of(window, first_window_);
  std::uint64_t at = place.number * window_;
  const std::uint64_t end = std::min(at + window_, place.shard->tokens());
  std::vector<ShardPiece> pieces;
  std::uint64_t document = place.shard->document_of_token(at);
  for (; at < end; ++document) {
    if (document == place.shard->documents())
      fail("{}.idx: no document holds token {}; the index is damaged",
           place.shard->prefix().string(), at);
    const std::uint64_t length = place.shard->length(document);
    if (length == 0) continue;
    const std::uint64_t begin = place.shard->first_token(document);
    if (begin > at || at - begin >= length)
      fail("{}.idx: document {} does not hold token {}; the index is damaged",
           place.shard->prefix().string(), document, at);
    const std::uint64_t count = std::min(length - (at - begin), end - at);
    pieces.push_back({first_document_[place.index] + document, at - begin, count});
    at += count;
  }
  return pieces;
}

std::vector<TokenId> SourceOrder::read(const ShardPiece& piece) const {
  const Place place = place_of(piece.document, first_document_);
  const bool goes_on = piece.first + piece.count < place.shard->length(place.number);
  std::vector<TokenId> ids(piece.count + (goes_on ? 1 : 0));
  place.shard->read(place.number, piece.first, ids, vocabulary_size_);
  return ids;
}

}  // namespace tigerbot::data
