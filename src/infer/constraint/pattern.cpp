#include "infer/constraint/pattern.h"

#include "base/error.h"
#include "base/text.h"
#include "infer/constraint/pattern_syntax.h"

namespace tigerbot::constraint {

namespace {

using Kind = PatternNode::Kind;

/// What lies on one side of a part of the pattern.
enum class Side {
  kInner,  ///< other parts that take characters
  kOpen,   ///< the end of the pattern: any text may lie before (or after) the match
  kFixed,  ///< an anchor, or the end of a pattern that matches as a whole
};

class Builder {
 public:
  Builder(ExpressionPool& pool, Spelling spelling, std::string_view pattern,
          const std::string& where)
      : pool_(pool),
        spelling_(spelling),
        pattern_(pattern),
        where_(where),
        any_(pool.repeat(one_of(pool, CodePoints::all(), spelling), 0, kUnlimited)) {}

  ExprId build(const PatternNode& node, Side left, Side right, PatternReading reading) {
    switch (node.kind) {
      case Kind::kSet:
        return pad(
            one_of(pool_, reading == PatternReading::kNarrow ? node.narrow : node.wide, spelling_),
            left, right);
      case Kind::kEither: {
        std::vector<ExprId> choices;
        for (const PatternNode& part : node.parts) {
          choices.push_back(build(part, left, right, reading));
        }
        return pool_.either(choices);
      }
      case Kind::kRepeat:
        return repeat(node, left, right, reading);
      case Kind::kConcat:
        return sequence(node.parts, 0, node.parts.size(), left, right, reading);
      case Kind::kStart:
      case Kind::kEnd:
      case Kind::kAhead:
      case Kind::kNotAhead: {
        const std::vector<PatternNode> alone{node};
        return sequence(alone, 0, 1, left, right, reading);
      }
    }
    return kNothing;
  }

 private:
  [[noreturn]] void error(const char* what) const {
    fail("{}: the pattern {} {}", where_, quote(pattern_, 60), what);
  }

  /// `part` with any text on its open sides.
  ExprId pad(ExprId part, Side left, Side right) {
    if (left == Side::kOpen) part = pool_.concat(any_, part);
    if (right == Side::kOpen) part = pool_.concat(part, any_);
    return part;
  }
  ExprId nothing_taken(Side left, Side right) {
    return left == Side::kOpen || right == Side::kOpen ? any_ : kEmpty;
  }

  ExprId repeat(const PatternNode& node, Side left, Side right, PatternReading reading) {
    const PatternNode& part = node.parts[0];
    if (!part.has_assertion()) {
      const ExprId once = build(part, Side::kInner, Side::kInner, reading);
      return pad(pool_.repeat(once, node.min, node.max), left, right);
    }
    if (node.max != 1) error("repeats an anchor or a look-ahead");
    const ExprId once = build(part, left, right, reading);
    return node.min == 1 ? once : pool_.either({nothing_taken(left, right), once});
  }

  ExprId sequence(const std::vector<PatternNode>& parts, std::size_t begin, std::size_t end,
                  Side left, Side right, PatternReading reading) {
    for (; begin < end && parts[end - 1].kind == Kind::kEnd; --end) {
      if (right == Side::kInner) error("has $ where a character may stand after it");
      right = Side::kFixed;
    }
    std::vector<ExprId> heads;
    ExprId rest = kEmpty;
    for (;; ++begin) {
      if (begin == end) {
        if (heads.empty()) rest = nothing_taken(left, right);
        break;
      }
      const PatternNode& part = parts[begin];
      if (part.kind == Kind::kStart) {
        if (left == Side::kInner) error("has ^ where a character may stand before it");
        left = Side::kFixed;
      } else if (part.kind == Kind::kEnd) {
        error("has $ where a character may stand after it");
      } else if (part.kind == Kind::kAhead || part.kind == Kind::kNotAhead) {
        rest = ahead(parts, begin, end, left, right, reading);
        break;
      } else {
        const bool is_last = begin + 1 == end;
        heads.push_back(build(part, left, is_last ? right : Side::kInner, reading));
        left = Side::kInner;
      }
    }
    for (auto head = heads.rbegin(); head != heads.rend(); ++head) rest = pool_.concat(*head, rest);
    return rest;
  }

  /// (?=A)B matches what both A and B begin with.
  ExprId ahead(const std::vector<PatternNode>& parts, std::size_t begin, std::size_t end, Side left,
               Side right, PatternReading reading) {
    if (right == Side::kInner) error("looks ahead within a group that something follows");
    const bool negative = parts[begin].kind == Kind::kNotAhead;
    PatternReading seen_reading = reading;
    if (negative) {
      seen_reading =
          reading == PatternReading::kNarrow ? PatternReading::kWide : PatternReading::kNarrow;
    }
    ExprId seen = build(parts[begin].parts[0], Side::kFixed, Side::kOpen, seen_reading);
    if (negative) seen = pool_.complement(seen);
    // Before the first character, ^ still holds after a look-ahead.
    const Side after = left == Side::kFixed ? Side::kFixed : Side::kInner;
    const ExprId rest = pool_.both({seen, sequence(parts, begin + 1, end, after, right, reading)});
    return left == Side::kOpen ? pool_.concat(any_, rest) : rest;
  }

  ExpressionPool& pool_;
  Spelling spelling_;
  std::string_view pattern_;
  const std::string& where_;
  ExprId any_;
};

}  // namespace

ExprId pattern_expression(ExpressionPool& pool, std::string_view pattern, PatternMatch match,
                          PatternReading reading, Spelling spelling, const std::string& where) {
  const PatternNode node = parse_pattern(pattern, where);
  const Side side = match == PatternMatch::kWhole ? Side::kFixed : Side::kOpen;
  return Builder(pool, spelling, pattern, where).build(node, side, side, reading);
}

}  // namespace tigerbot::constraint
