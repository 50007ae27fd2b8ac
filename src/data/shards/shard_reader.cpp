#include "data/shards/shard_reader.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "data/shards/mixture_draw.h"
#include "data/shards/source_order.h"

namespace tigerbot::data {
namespace {

/// Sequences that the shares of the sources are mixed over.
constexpr std::uint64_t kUrnSequences = 32;

/// A piece and the source it comes from.
struct PlannedPiece {
  std::size_t source;
  ShardPiece piece;
};

/// A document that was begun, or drawn and found too long for the sequence.
struct OpenDocument {
  std::size_t source = 0;
  std::uint64_t document = 0, first = 0, length = 0;
};

/// A place in the global order: all that a reader has to remember.
struct Cursor {
  std::uint64_t sequences = 0;  // given
  std::uint64_t draws = 0;      // documents or windows drawn
  struct Source {
    std::uint64_t epoch = 0, place = 0;  // of the next document or window
  };
  std::vector<Source> sources;
  std::vector<std::uint64_t> taken;  // tokens drawn from each source
  std::optional<OpenDocument> open;
};

std::string_view name_of(Shuffle shuffle) {
  switch (shuffle) {
    case Shuffle::kDocuments:
      return "documents";
    case Shuffle::kWindows:
      return "windows";
    case Shuffle::kNone:
      return "none";
  }
  return "";
}

std::string_view name_of(Packing packing) { return packing == Packing::kSplit ? "split" : "whole"; }

void check(const ShardReaderOptions& options) {
  if (options.sources.empty()) fail("training needs at least one source of token shards");
  if (options.sequence_length < 1 || options.sequence_length > (1 << 30))
    fail("sequence_length must be from 1 to 2^30, not {}", options.sequence_length);
  if (options.vocabulary_size < 1) fail_internal("the shard reader needs the vocabulary's size");
  if (options.readers < 1 || options.reader < 0 || options.reader >= options.readers)
    fail_internal("there is no reader {} of {}", options.reader, options.readers);
  std::set<std::string> names;
  for (const ShardSource& source : options.sources) {
    if (!names.insert(source.name).second) fail("two sources have the name {}", quote(source.name));
    if (!(source.weight >= 0) || !std::isfinite(source.weight))
      fail("source {}: the weight must be a positive number", quote(source.name));
    if ((source.weight == 0) != (options.sources.front().weight == 0))
      fail("source {}: either every source has a weight or none", quote(source.name));
  }
}

}  // namespace

struct ShardReader::Implementation {
  explicit Implementation(const ShardReaderOptions& options_) : options(options_) {
    check(options);
    for (const ShardSource& source : options.sources) orders.emplace_back(source, options);
    std::vector<double> weights;
    for (std::size_t k = 0; k < orders.size(); ++k) {
      const double weight = options.sources[k].weight;
      weights.push_back(weight > 0 ? weight : static_cast<double>(orders[k].tokens()));
    }
    draw.emplace(weights, kUrnSequences * static_cast<std::uint64_t>(options.sequence_length),
                 options.seed);
    cursor.sources.resize(orders.size());
    cursor.taken.resize(orders.size());
    for (const SourceOrder& order : orders) most_empty += 2 * order.items();
  }

  /// What the state of one run must share with the next.
  Json identity() const {
    Json sources = Json::array();
    for (std::size_t k = 0; k < orders.size(); ++k)
      sources.push_back({{"name", options.sources[k].name},
                         {"documents", orders[k].documents()},
                         {"tokens", orders[k].tokens()},
                         {"weight", options.sources[k].weight}});
    return {{"seed", options.seed},
            {"sequence_length", options.sequence_length},
            {"shuffle", name_of(options.shuffle)},
            {"packing", name_of(options.packing)},
            {"sources", sources}};
  }

  struct Item {
    std::size_t source;
    std::uint64_t number;
  };
  Item next_item() {
    const std::size_t source = (*draw)(cursor.draws, cursor.taken);
    Cursor::Source& at = cursor.sources[source];
    const std::uint64_t number = orders[source].item(at.epoch, at.place);
    ++cursor.draws;
    if (++at.place == orders[source].items()) {
      at.place = 0;
      ++at.epoch;
    }
    return {source, number};
  }

  /// Goes to the next sequence of the global order; `pieces` gets what is in it, if given.
  void plan(std::vector<PlannedPiece>* pieces) {
    if (options.shuffle == Shuffle::kWindows) {
      plan_window(pieces);
    } else {
      plan_documents(pieces);
    }
    ++cursor.sequences;
  }

  void plan_window(std::vector<PlannedPiece>* pieces) {
    const Item item = next_item();
    cursor.taken[item.source] += orders[item.source].length_of_window(item.number);
    if (pieces == nullptr) return;
    for (const ShardPiece& piece : orders[item.source].pieces_of_window(item.number))
      pieces->push_back({item.source, piece});
  }

  void plan_documents(std::vector<PlannedPiece>* pieces) {
    const auto capacity = static_cast<std::uint64_t>(options.sequence_length);
    std::uint64_t room = capacity, empty = 0;
    while (room > 0) {
      if (!cursor.open) {
        const Item item = next_item();
        const std::uint64_t length = orders[item.source].length_of_document(item.number);
        cursor.taken[item.source] += length;
        if (length == 0) {
          if (++empty > most_empty)
            fail("source {}: its documents have no tokens; the index of a shard is damaged",
                 quote(options.sources[item.source].name));
          continue;
        }
        empty = 0;
        cursor.open = {item.source, item.number, 0, length};
      }
      OpenDocument& open = *cursor.open;
      const std::uint64_t rest = open.length - open.first;
      if (rest > room && room < capacity && options.packing == Packing::kWhole) return;
      const std::uint64_t count = std::min(rest, room);
      if (pieces != nullptr) pieces->push_back({open.source, {open.document, open.first, count}});
      open.first += count;
      room -= count;
      if (open.first == open.length) cursor.open.reset();
    }
  }

  void append(const PlannedPiece& planned, PackedTokens& packed) const {
    const std::vector<TokenId> ids = orders[planned.source].read(planned.piece);
    const auto count = static_cast<std::size_t>(planned.piece.count);
    packed.ids.insert(packed.ids.end(), ids.begin(),
                      ids.begin() + static_cast<std::ptrdiff_t>(count));
    packed.labels.insert(packed.labels.end(), ids.begin() + 1, ids.end());
    if (ids.size() == count) packed.labels.push_back(-100);
    const std::size_t first = packed.positions.size();
    packed.positions.resize(first + count);
    for (std::size_t k = 0; k < count; ++k)
      packed.positions[first + k] = static_cast<std::int32_t>(k);
    packed.cu_seqlens.push_back(static_cast<std::int32_t>(packed.ids.size()));
    packed.sources.push_back(static_cast<std::int32_t>(planned.source));
  }

  /// Tokens of a source that have been given out: what was drawn, less what is still open.
  std::uint64_t given(std::size_t source) const {
    std::uint64_t tokens = cursor.taken[source];
    if (cursor.open && cursor.open->source == source)
      tokens -= cursor.open->length - cursor.open->first;
    return tokens;
  }

  ShardReaderOptions options;
  std::vector<SourceOrder> orders;
  std::optional<MixtureDraw> draw;
  std::uint64_t most_empty = 0;  // empty documents in a row, past which there are no others
  Cursor cursor;  // at the beginning of a round in which every reader takes one sequence
};

ShardReader::ShardReader(const ShardReaderOptions& options)
    : implementation_(std::make_unique<Implementation>(options)) {}
ShardReader::~ShardReader() = default;
ShardReader::ShardReader(ShardReader&&) noexcept = default;
ShardReader& ShardReader::operator=(ShardReader&&) noexcept = default;

PackedTokens ShardReader::next(std::int64_t sequences) {
  Implementation& self = *implementation_;
  if (sequences < 1 || sequences > (std::int64_t{1} << 30) / self.options.sequence_length)
    fail("{} sequences of {} tokens are no batch (at least 1, at most 2^30 tokens)", sequences,
         self.options.sequence_length);
  PackedTokens packed;
  packed.cu_seqlens.push_back(0);
  packed.sequences = sequences;
  const auto most = static_cast<std::size_t>(sequences * self.options.sequence_length);
  packed.ids.reserve(most);
  packed.labels.reserve(most);
  packed.positions.reserve(most);
  std::vector<PlannedPiece> pieces;
  for (std::int64_t k = 0; k < sequences; ++k) {
    for (int reader = 0; reader < self.options.readers; ++reader)
      self.plan(reader == self.options.reader ? &pieces : nullptr);
    for (const PlannedPiece& piece : pieces) self.append(piece, packed);
    pieces.clear();
  }
  return packed;
}

std::uint64_t ShardReader::position() const { return implementation_->cursor.sequences; }

std::uint64_t ShardReader::tokens() const {
  std::uint64_t total = 0;
  for (std::size_t k = 0; k < implementation_->orders.size(); ++k)
    total += implementation_->given(k);
  return total;
}

std::uint64_t ShardReader::epoch_tokens() const {
  std::uint64_t total = 0;
  for (const SourceOrder& order : implementation_->orders) total += order.tokens();
  return total;
}

std::vector<SourceProgress> ShardReader::progress() const {
  const Implementation& self = *implementation_;
  std::vector<SourceProgress> sources;
  for (std::size_t k = 0; k < self.orders.size(); ++k) {
    SourceProgress& source = sources.emplace_back();
    source.name = self.options.sources[k].name;
    source.tokens = self.given(k);
    source.epoch = source.tokens / self.orders[k].tokens();
    source.epochs =
        static_cast<double>(source.tokens) / static_cast<double>(self.orders[k].tokens());
    source.weight = self.draw->share(k);
  }
  return sources;
}

Json ShardReader::state() const {
  const Implementation& self = *implementation_;
  const Cursor& cursor = self.cursor;
  Json sources = Json::array();
  for (std::size_t k = 0; k < self.orders.size(); ++k)
    sources.push_back({{"name", self.options.sources[k].name},
                       {"epoch", cursor.sources[k].epoch},
                       {"next", cursor.sources[k].place},
                       {"tokens", cursor.taken[k]}});
  Json open = nullptr;
  if (cursor.open)
    open = {{"source", cursor.open->source},
            {"document", cursor.open->document},
            {"next_token", cursor.open->first}};
  return {{"of", self.identity()},
          {"sequences", cursor.sequences},
          {"draws", cursor.draws},
          {"sources", sources},
          {"open_document", open}};
}

void ShardReader::restore(const Json& state, const std::string& where) {
  Implementation& self = *implementation_;
  JsonReader reader(state, where);
  JsonReader of = reader.object("of");
  const Json identity = self.identity();
  for (const auto& item : identity.items()) {
    if (of.get<Json>(item.key()) != item.value())
      fail(
          "{}: the position was saved for another {}; a run goes on only with the data that it "
          "began with",
          where, item.key() == "sources" ? "list of sources" : item.key());
  }
  of.finish();
  Cursor cursor;
  cursor.sequences = reader.get<std::uint64_t>("sequences");
  cursor.draws = reader.get<std::uint64_t>("draws");
  std::vector<JsonReader> sources = reader.objects("sources");
  if (sources.size() != self.orders.size())
    fail("{}: has {} sources, not {}", reader.place("sources"), sources.size(), self.orders.size());
  for (std::size_t k = 0; k < sources.size(); ++k) {
    JsonReader& source = sources[k];
    source.ignore("name");
    Cursor::Source& at = cursor.sources.emplace_back();
    at.epoch = source.get<std::uint64_t>("epoch");
    at.place = source.get<std::uint64_t>("next");
    cursor.taken.push_back(source.get<std::uint64_t>("tokens"));
    source.finish();
    if (at.place >= self.orders[k].items())
      fail("{} is {}, and the source has {} items", source.place("next"), at.place,
           self.orders[k].items());
  }
  if (auto open = reader.find_object("open_document")) {
    OpenDocument& document = cursor.open.emplace();
    document.source = open->get<std::uint64_t>("source");
    document.document = open->get<std::uint64_t>("document");
    document.first = open->get<std::uint64_t>("next_token");
    open->finish();
    if (document.source >= self.orders.size() ||
        document.document >= self.orders[document.source].documents())
      fail("{}: there is no such document", reader.place("open_document"));
    document.length = self.orders[document.source].length_of_document(document.document);
    if (document.first >= document.length)
      fail("{}: the document has only {} tokens", open->place("next_token"), document.length);
  }
  reader.finish();
  self.cursor = std::move(cursor);
}

}  // namespace tigerbot::data
