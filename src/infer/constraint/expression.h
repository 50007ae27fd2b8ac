#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "infer/constraint/byte_set.h"

namespace tigerbot::constraint {

/// An expression of a pool. Equal ids are equal expressions.
using ExprId = std::int32_t;
/// A nested JSON object or array: see Grammar.
using RuleId = std::int32_t;

/// Matches no text.
inline constexpr ExprId kNothing = 0;
/// Matches the empty text.
inline constexpr ExprId kEmpty = 1;
/// Matches every text.
inline constexpr ExprId kAnything = 2;
/// No upper limit of a repetition.
inline constexpr std::int64_t kUnlimited = -1;

/// Regular expressions over bytes, each stored once, with intersection and complement, and what is
/// left of each after a byte (Brzozowski's derivatives, 1964): the states of an automaton that is
/// made only where a text goes. A repetition counts down as it is consumed, so that one of 10,000
/// costs no more than one of 10 until it is walked.
///
/// A container stands for a whole nested object or array. What it holds is described by its rule,
/// which the automaton enters at the opening bracket.
class ExpressionPool {
 public:
  ExpressionPool();

  ExprId bytes(const ByteSet& set);
  ExprId byte(unsigned char value) { return bytes(ByteSet::of(value)); }
  ExprId range(unsigned first, unsigned last) { return bytes(ByteSet::range(first, last)); }
  ExprId literal(std::string_view text);
  ExprId concat(ExprId first, ExprId rest);
  ExprId concat(std::initializer_list<ExprId> parts);
  ExprId either(const std::vector<ExprId>& parts);
  ExprId optional(ExprId part) { return either({kEmpty, part}); }
  /// At least `min`, at most `max` times (kUnlimited: any number).
  ExprId repeat(ExprId part, std::int64_t min, std::int64_t max);
  /// What matches all parts; kNothing if nothing does. No part holds a container.
  ExprId both(const std::vector<ExprId>& parts);
  /// What `part` does not match. To be used inside both() only, for emptiness is checked there.
  ExprId complement(ExprId part);
  /// Decimal digits that, after digits worth `remainder`, make a multiple of `divisor`. A point
  /// between them is passed over: where it may stand is for another expression to say.
  ExprId multiple(std::int64_t divisor, std::int64_t remainder = 0);
  ExprId container(RuleId rule, unsigned char opener);
  /// The inside of `rule`, so far as `rest` is still to come.
  ExprId inside(RuleId rule, ExprId rest);

  bool nullable(ExprId id) const { return nodes_[index(id)].nullable; }
  bool has_container(ExprId id) const { return nodes_[index(id)].has_container; }
  /// What may follow `byte`. Knows nothing of containers.
  ExprId derivative(ExprId id, unsigned char byte);
  /// Bytes that the derivatives of `id` do not tell apart are in one class.
  void classify(ExprId id, ByteClasses& classes) const;
  bool matches(ExprId id, std::string_view text);

  struct Opening {
    RuleId rule;
    ExprId after;  ///< what follows the container
  };
  /// The containers that may begin with the bracket `opener`.
  void openings(ExprId id, unsigned char opener, std::vector<Opening>& found);
  /// The rules whose inside may end here, in ascending order.
  void endings(ExprId id, std::vector<RuleId>& found) const;

  /// The one byte that a text begins with, and what follows.
  struct LiteralStep {
    unsigned char byte;
    ExprId rest;
  };
  /// Nothing where texts may begin otherwise, or be empty.
  std::optional<LiteralStep> literal_step(ExprId id);

  /// What a text begins with, then what follows.
  struct Sequel {
    ExprId head;
    ExprId rest;
  };
  /// The expression taken apart where it begins with an unlimited repetition or an intersection
  /// without containers, such as the inside of a string: many states begin so, whatever follows.
  /// Its other alternatives stay together, behind an empty head.
  std::vector<Sequel> sequels(ExprId id);
  /// The same text for equal expressions of any pool, and for no others; nothing for one of more
  /// than kMaxDescribed parts.
  std::string description(ExprId id) const;
  static constexpr std::size_t kMaxDescribed = 2000;

  /// Whether some text matches, if the containers of `usable` rules do and no others. Needs no
  /// search, for both() has refused what is empty.
  std::vector<char> live_expressions(const std::vector<char>& usable) const;
  /// The expression without the containers of unusable rules.
  ExprId without_rules(ExprId id, const std::vector<char>& usable,
                       std::unordered_map<ExprId, ExprId>& done);

  /// The same for texts of at most `length` bytes and what may follow them: counts beyond are as
  /// good as unlimited.
  ExprId shortened(ExprId id, std::int64_t length) { return shortened(id, length, 0); }

  std::size_t size() const { return nodes_.size(); }
  /// How much of what it may cost it has cost: 1 is all. Beyond, there is an Error that says the
  /// grammar is too complex, so that no pattern takes minutes.
  double effort() const;
  static constexpr std::size_t kMaxExpressions = 1'000'000;
  static constexpr std::size_t kMaxParts = 20'000'000;  ///< of alternatives put together, in all

 private:
  enum class Kind : std::uint8_t {
    kBytes,
    kConcat,
    kEither,
    kBoth,
    kComplement,
    kRepeat,
    kMultiple,
    kContainer,
    kInside,
    kEmptyText,
  };
  struct Node {
    Kind kind;
    bool nullable = false;
    bool has_container = false;
    bool has_both = false;    // an intersection is somewhere inside
    std::uint8_t opener = 0;  // kContainer
    ExprId a = -1;            // the (first) part; the rule; the index of a byte set
    ExprId b = -1;            // kConcat: the rest; kInside: what is to come
    std::int64_t min = 0;     // kRepeat; kMultiple: the divisor
    std::int64_t max = 0;     // kRepeat; kMultiple: the remainder
    std::uint32_t first = 0;  // kEither, kBoth: the parts
    std::uint32_t count = 0;
    friend bool operator==(const Node&, const Node&) = default;
  };

  static std::size_t index(ExprId id) { return static_cast<std::size_t>(id); }
  std::vector<ExprId> parts(ExprId id) const;
  /// What `id` is made of, each once, after what it is made of itself; one more than kMaxDescribed
  /// at most.
  static std::vector<ExprId> parts_first(
      ExprId id, const std::function<std::vector<ExprId>(ExprId)>& parts_of);
  void count_parts(std::size_t count);
  ExprId intern(Node node, std::span<const ExprId> parts = {});
  ExprId intern_parts(Kind kind, const std::vector<ExprId>& parts, bool nullable);
  ExprId shortened(ExprId id, std::int64_t length, int depth);
  ExprId make_both(const std::vector<ExprId>& parts);
  ExprId derive(ExprId id, unsigned char byte);
  bool is_empty(ExprId id);
  std::uint64_t hash(const Node& node, std::span<const ExprId> parts) const;

  std::vector<Node> nodes_;
  std::vector<ExprId> parts_;
  std::vector<ByteSet> sets_;
  std::vector<ExprId> table_;  // open addressing over nodes_, -1: free
  struct SetHash {
    std::size_t operator()(const ByteSet& set) const;
  };
  std::unordered_map<ByteSet, ExprId, SetHash> set_ids_;
  bool exploring_ = false;    // is_empty is at work: both() takes parts as they are
  std::size_t explored_ = 0;  // expressions that is_empty has looked at in all
  std::size_t joined_ = 0;    // parts of alternatives so far
  std::unordered_map<std::uint64_t, ExprId> derivatives_;
  std::unordered_map<ExprId, bool> empty_;
  std::unordered_map<ExprId, ExprId> shortened_;
  std::int64_t shortened_to_ = 0;
};

}  // namespace tigerbot::constraint
