#include "infer/constraint/expression.h"

#include <algorithm>

#include "base/error.h"

namespace tigerbot::constraint {

namespace {

std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9E3779B97F4A7C15ULL + (hash << 6) + (hash >> 2);
  return hash * 0xBF58476D1CE4E5B9ULL;
}

[[noreturn]] void too_complex() {
  fail(
      "the grammar is too complex; use fewer alternatives and optional parts, shorter patterns or "
      "smaller limits");
}

}  // namespace

double ExpressionPool::effort() const {
  return std::max(static_cast<double>(std::max(nodes_.size(), explored_)) / kMaxExpressions,
                  static_cast<double>(joined_) / kMaxParts);
}

void ExpressionPool::count_parts(std::size_t count) {
  joined_ += count;
  if (joined_ > kMaxParts) too_complex();
}

std::size_t ExpressionPool::SetHash::operator()(const ByteSet& set) const {
  std::uint64_t hash = 0;
  for (const std::uint64_t word : set.words()) hash = mix(hash, word);
  return hash;
}

ExpressionPool::ExpressionPool() : table_(1024, -1) {
  sets_.emplace_back();
  set_ids_.emplace(ByteSet(), 0);
  intern({.kind = Kind::kBytes, .a = 0});                                // kNothing
  intern({.kind = Kind::kEmptyText, .nullable = true});                  // kEmpty
  intern({.kind = Kind::kComplement, .nullable = true, .a = kNothing});  // kAnything
}

std::uint64_t ExpressionPool::hash(const Node& node, std::span<const ExprId> parts) const {
  std::uint64_t hash = mix(static_cast<std::uint64_t>(node.kind), node.opener);
  hash = mix(hash, static_cast<std::uint32_t>(node.a));
  hash = mix(hash, static_cast<std::uint32_t>(node.b));
  hash = mix(hash, static_cast<std::uint64_t>(node.min));
  hash = mix(hash, static_cast<std::uint64_t>(node.max));
  for (const ExprId part : parts) hash = mix(hash, static_cast<std::uint32_t>(part));
  return hash ^ (hash >> 31);
}

ExprId ExpressionPool::intern(Node node, std::span<const ExprId> parts) {
  node.count = static_cast<std::uint32_t>(parts.size());
  for (std::uint64_t slot = hash(node, parts);; ++slot) {
    ExprId& entry = table_[slot & (table_.size() - 1)];
    if (entry < 0) {
      if (nodes_.size() >= kMaxExpressions) too_complex();
      entry = static_cast<ExprId>(nodes_.size());
      node.first = static_cast<std::uint32_t>(parts_.size());
      parts_.insert(parts_.end(), parts.begin(), parts.end());
      nodes_.push_back(node);
      break;
    }
    const Node& other = nodes_[index(entry)];
    const std::span<const ExprId> others(parts_.data() + other.first, other.count);
    Node same = node;
    same.first = other.first;
    if (same == other && std::equal(parts.begin(), parts.end(), others.begin(), others.end())) {
      return entry;
    }
  }
  const auto id = static_cast<ExprId>(nodes_.size() - 1);
  if (nodes_.size() * 2 > table_.size()) {
    table_.assign(table_.size() * 2, -1);
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      const std::span<const ExprId> own(parts_.data() + nodes_[i].first, nodes_[i].count);
      std::uint64_t slot = hash(nodes_[i], own);
      while (table_[slot & (table_.size() - 1)] >= 0) ++slot;
      table_[slot & (table_.size() - 1)] = static_cast<ExprId>(i);
    }
  }
  return id;
}

std::vector<ExprId> ExpressionPool::parts(ExprId id) const {
  const Node& node = nodes_[index(id)];
  const auto begin = parts_.begin() + node.first;
  return {begin, begin + node.count};
}

ExprId ExpressionPool::bytes(const ByteSet& set) {
  const auto [found, added] = set_ids_.try_emplace(set, static_cast<ExprId>(sets_.size()));
  if (added) sets_.push_back(set);
  return intern({.kind = Kind::kBytes, .a = found->second});
}

ExprId ExpressionPool::literal(std::string_view text) {
  ExprId rest = kEmpty;
  for (auto at = text.rbegin(); at != text.rend(); ++at) {
    rest = concat(byte(static_cast<unsigned char>(*at)), rest);
  }
  return rest;
}

// A concatenation is a list that hangs to the right, so that equal texts are equal expressions.
ExprId ExpressionPool::concat(ExprId first, ExprId rest) {
  if (first == kNothing || rest == kNothing) return kNothing;
  if (first == kEmpty) return rest;
  if (rest == kEmpty) return first;
  std::vector<ExprId> chain;
  while (nodes_[index(first)].kind == Kind::kConcat) {
    chain.push_back(nodes_[index(first)].a);
    first = nodes_[index(first)].b;
  }
  chain.push_back(first);
  for (auto part = chain.rbegin(); part != chain.rend(); ++part) {
    const Node& head = nodes_[index(*part)];
    const Node& tail = nodes_[index(rest)];
    rest = intern({.kind = Kind::kConcat,
                   .nullable = head.nullable && tail.nullable,
                   .has_container = head.has_container || tail.has_container,
                   .has_both = head.has_both || tail.has_both,
                   .a = *part,
                   .b = rest});
  }
  return rest;
}

ExprId ExpressionPool::concat(std::initializer_list<ExprId> parts) {
  ExprId rest = kEmpty;
  for (auto part = std::rbegin(parts); part != std::rend(parts); ++part) rest = concat(*part, rest);
  return rest;
}

ExprId ExpressionPool::intern_parts(Kind kind, const std::vector<ExprId>& parts, bool nullable) {
  Node node{.kind = kind, .nullable = nullable, .has_both = kind == Kind::kBoth};
  for (const ExprId part : parts) {
    node.has_container |= nodes_[index(part)].has_container;
    node.has_both |= nodes_[index(part)].has_both;
  }
  return intern(node, parts);
}

ExprId ExpressionPool::either(const std::vector<ExprId>& given) {
  std::vector<ExprId> flat;
  ByteSet set;
  for (const ExprId part : given) {
    if (part == kAnything) return kAnything;
    const Node& node = nodes_[index(part)];
    if (node.kind == Kind::kEither) {
      const auto begin = parts_.begin() + node.first;
      for (auto at = begin; at != begin + node.count; ++at) {
        if (nodes_[index(*at)].kind == Kind::kBytes) {
          set = set | sets_[index(nodes_[index(*at)].a)];
        } else {
          flat.push_back(*at);
        }
      }
    } else if (node.kind == Kind::kBytes) {
      set = set | sets_[index(node.a)];
    } else {
      flat.push_back(part);
    }
  }
  if (!set.empty()) flat.push_back(bytes(set));
  count_parts(flat.size());
  std::sort(flat.begin(), flat.end());
  flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
  if (flat.empty()) return kNothing;
  if (flat.size() == 1) return flat[0];
  bool nullable = false;
  for (const ExprId part : flat) nullable |= nodes_[index(part)].nullable;
  // The empty text adds nothing to what may be empty anyway.
  if (flat[0] == kEmpty && std::any_of(flat.begin() + 1, flat.end(),
                                       [&](ExprId part) { return nodes_[index(part)].nullable; })) {
    flat.erase(flat.begin());
    if (flat.size() == 1) return flat[0];
  }
  return intern_parts(Kind::kEither, flat, nullable);
}

ExprId ExpressionPool::repeat(ExprId part, std::int64_t min, std::int64_t max) {
  if (max == 0 || part == kEmpty) return kEmpty;
  if (part == kNothing) return min == 0 ? kEmpty : kNothing;
  const Node& node = nodes_[index(part)];
  if (node.nullable) min = 0;
  if (min == 1 && max == 1) return part;
  if (node.kind == Kind::kRepeat && node.min == 0 && node.max == kUnlimited) return part;
  return intern({.kind = Kind::kRepeat,
                 .nullable = min == 0,
                 .has_container = node.has_container,
                 .has_both = node.has_both,
                 .a = part,
                 .min = min,
                 .max = max});
}

ExprId ExpressionPool::make_both(const std::vector<ExprId>& given) {
  std::vector<ExprId> flat;
  for (const ExprId part : given) {
    if (nodes_[index(part)].kind == Kind::kBoth) {
      const std::vector<ExprId> inner = parts(part);
      flat.insert(flat.end(), inner.begin(), inner.end());
    } else if (part != kAnything) {
      flat.push_back(part);
    }
  }
  std::sort(flat.begin(), flat.end());
  flat.erase(std::unique(flat.begin(), flat.end()), flat.end());
  if (flat.empty()) return kAnything;
  if (flat[0] == kNothing) return kNothing;
  if (flat.size() == 1) return flat[0];
  bool nullable = true;
  for (const ExprId part : flat) nullable &= nodes_[index(part)].nullable;
  if (std::binary_search(flat.begin(), flat.end(), kEmpty)) return nullable ? kEmpty : kNothing;
  return intern_parts(Kind::kBoth, flat, nullable);
}

ExprId ExpressionPool::both(const std::vector<ExprId>& parts) {
  const ExprId id = make_both(parts);
  if (nodes_[index(id)].has_container) fail_internal("an intersection of containers");
  return !exploring_ && is_empty(id) ? kNothing : id;
}

ExprId ExpressionPool::complement(ExprId part) {
  const Node& node = nodes_[index(part)];
  if (node.kind == Kind::kComplement) return node.a;
  return intern({.kind = Kind::kComplement,
                 .nullable = !node.nullable,
                 .has_both = node.has_both,
                 .a = part});
}

ExprId ExpressionPool::multiple(std::int64_t divisor, std::int64_t remainder) {
  return intern(
      {.kind = Kind::kMultiple, .nullable = remainder == 0, .min = divisor, .max = remainder});
}

ExprId ExpressionPool::container(RuleId rule, unsigned char opener) {
  return intern({.kind = Kind::kContainer, .has_container = true, .opener = opener, .a = rule});
}

ExprId ExpressionPool::inside(RuleId rule, ExprId rest) {
  if (rest == kNothing) return kNothing;
  return intern({.kind = Kind::kInside,
                 .has_container = nodes_[index(rest)].has_container,
                 .has_both = nodes_[index(rest)].has_both,
                 .a = rule,
                 .b = rest});
}

void ExpressionPool::openings(ExprId id, unsigned char opener, std::vector<Opening>& found) {
  const Node node = nodes_[index(id)];
  if (!node.has_container) return;
  std::vector<Opening> inner;
  switch (node.kind) {
    case Kind::kContainer:
      if (node.opener == opener) found.push_back({node.a, kEmpty});
      return;
    case Kind::kConcat:
      openings(node.a, opener, inner);
      for (const Opening& o : inner) found.push_back({o.rule, concat(o.after, node.b)});
      if (nullable(node.a)) openings(node.b, opener, found);
      return;
    case Kind::kEither:
      for (const ExprId part : parts(id)) openings(part, opener, found);
      return;
    case Kind::kRepeat: {
      openings(node.a, opener, inner);
      const ExprId more = repeat(node.a, std::max<std::int64_t>(node.min - 1, 0),
                                 node.max == kUnlimited ? kUnlimited : node.max - 1);
      for (const Opening& o : inner) found.push_back({o.rule, concat(o.after, more)});
      return;
    }
    case Kind::kInside:
      openings(node.b, opener, inner);
      for (const Opening& o : inner) found.push_back({o.rule, inside(node.a, o.after)});
      return;
    default:
      return;
  }
}

void ExpressionPool::endings(ExprId id, std::vector<RuleId>& found) const {
  const Node& node = nodes_[index(id)];
  if (node.kind == Kind::kInside) {
    if (nullable(node.b)) found.push_back(node.a);
  } else if (node.kind == Kind::kEither) {
    for (std::uint32_t i = 0; i < node.count; ++i) endings(parts_[node.first + i], found);
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end()), found.end());
  }
}

}  // namespace tigerbot::constraint
