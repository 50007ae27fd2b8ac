// What is left of an expression after a byte, and whether anything is.

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "infer/constraint/expression.h"

namespace tigerbot::constraint {

ExprId ExpressionPool::derivative(ExprId id, unsigned char byte) {
  const Node& node = nodes_[index(id)];
  switch (node.kind) {
    case Kind::kBytes:
      return sets_[index(node.a)].contains(byte) ? kEmpty : kNothing;
    case Kind::kEmptyText:
    case Kind::kContainer:
      return kNothing;
    case Kind::kMultiple:
      if (byte == '.') return id;
      if (byte < '0' || byte > '9') return kNothing;
      return multiple(node.min, (node.max * 10 + (byte - '0')) % node.min);
    case Kind::kConcat: {
      // Most of a large choice begins with a letter, and ends here without a look at the table.
      const Node& head = nodes_[index(node.a)];
      if (head.kind == Kind::kBytes) {
        return sets_[index(head.a)].contains(byte) ? node.b : kNothing;
      }
      break;
    }
    default:
      break;
  }
  const std::uint64_t key = (std::uint64_t{static_cast<std::uint32_t>(id)} << 9) |
                            (std::uint64_t{exploring_} << 8) | byte;
  if (const auto found = derivatives_.find(key); found != derivatives_.end()) return found->second;
  const ExprId result = derive(id, byte);
  derivatives_.emplace(key, result);
  return result;
}

ExprId ExpressionPool::derive(ExprId id, unsigned char byte) {
  const Node node = nodes_[index(id)];
  switch (node.kind) {
    case Kind::kConcat: {
      const ExprId first = concat(derivative(node.a, byte), node.b);
      return nullable(node.a) ? either({first, derivative(node.b, byte)}) : first;
    }
    case Kind::kEither: {
      std::vector<ExprId> left;
      for (const ExprId part : parts(id)) {
        const ExprId after = derivative(part, byte);
        if (after != kNothing) left.push_back(after);
      }
      return either(left);
    }
    case Kind::kBoth: {
      std::vector<ExprId> left = parts(id);
      for (ExprId& part : left) {
        part = derivative(part, byte);
        if (part == kNothing) return kNothing;
      }
      return both(left);
    }
    case Kind::kComplement:
      return complement(derivative(node.a, byte));
    case Kind::kRepeat:
      return concat(derivative(node.a, byte),
                    repeat(node.a, std::max<std::int64_t>(node.min - 1, 0),
                           node.max == kUnlimited ? kUnlimited : node.max - 1));
    case Kind::kInside:
      return inside(node.a, derivative(node.b, byte));
    default:
      return kNothing;
  }
}

void ExpressionPool::classify(ExprId id, ByteClasses& classes) const {
  const Node& node = nodes_[index(id)];
  switch (node.kind) {
    case Kind::kBytes:
      classes.refine(sets_[index(node.a)], index(node.a));
      break;
    case Kind::kConcat:
      classify(node.a, classes);
      if (nullable(node.a)) classify(node.b, classes);
      break;
    case Kind::kEither:
    case Kind::kBoth:
      for (std::uint32_t i = 0; i < node.count; ++i) classify(parts_[node.first + i], classes);
      break;
    case Kind::kComplement:
    case Kind::kRepeat:
      classify(node.a, classes);
      break;
    case Kind::kInside:
      classify(node.b, classes);
      break;
    case Kind::kMultiple:
      classes.refine(ByteSet::of('.'), ByteClasses::kNoName);
      for (unsigned char digit = '0'; digit <= '9'; ++digit)
        classes.refine(ByteSet::of(digit), ByteClasses::kNoName);
      break;
    case Kind::kContainer:
    case Kind::kEmptyText:
      break;
  }
}

bool ExpressionPool::matches(ExprId id, std::string_view text) {
  for (const char c : text) {
    id = derivative(id, static_cast<unsigned char>(c));
    if (id == kNothing) return false;
  }
  return nullable(id);
}

// Only intersections can be empty without being kNothing: the other constructors pass emptiness on.
// The shortest text that matches is looked for breadth first.
bool ExpressionPool::is_empty(ExprId start) {
  if (start == kNothing) return true;
  if (nodes_[index(start)].kind != Kind::kBoth || nullable(start)) return false;
  if (const auto known = empty_.find(start); known != empty_.end()) return known->second;
  constexpr std::size_t kMaxVisited = 100'000;
  exploring_ = true;
  std::unordered_map<ExprId, ExprId> parent{{start, start}};
  std::deque<ExprId> queue{start};
  ExprId goal = kNothing;
  while (!queue.empty() && goal == kNothing) {
    const ExprId id = queue.front();
    queue.pop_front();
    ByteClasses classes;
    classify(id, classes);
    std::array<bool, 256> seen{};
    for (unsigned byte = 0; byte < 256 && goal == kNothing; ++byte) {
      if (std::exchange(seen[classes.class_of[byte]], true)) continue;
      const ExprId next = derivative(id, static_cast<unsigned char>(byte));
      if (next == kNothing || !parent.emplace(next, id).second) continue;
      const auto known = empty_.find(next);
      if (known != empty_.end() && known->second) continue;
      if (nullable(next) || known != empty_.end() || !nodes_[index(next)].has_both) {
        goal = next;
      } else {
        queue.push_back(next);
      }
    }
    if (parent.size() > kMaxVisited || ++explored_ > kMaxExpressions) {
      exploring_ = false;
      fail(
          "a pattern, a format and limits of length together are too complex (more than {} "
          "states); use fewer of them for one string",
          kMaxVisited);
    }
  }
  exploring_ = false;
  if (goal == kNothing) {
    for (const auto& [id, from] : parent) empty_[id] = true;
    return true;
  }
  while (goal != start) {
    empty_[goal] = false;
    goal = parent[goal];
  }
  empty_[start] = false;
  return false;
}

std::vector<char> ExpressionPool::live_expressions(const std::vector<char>& usable) const {
  // Parts have lower ids than what is made of them.
  std::vector<char> live(nodes_.size(), 0);
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    switch (node.kind) {
      case Kind::kBytes:
        live[i] = i != index(kNothing);
        break;
      case Kind::kConcat:
        live[i] = live[index(node.a)] && live[index(node.b)];
        break;
      case Kind::kEither:
        for (std::uint32_t k = 0; k < node.count; ++k)
          live[i] |= live[index(parts_[node.first + k])];
        break;
      case Kind::kRepeat:
        live[i] = node.min == 0 || live[index(node.a)];
        break;
      case Kind::kContainer:
        live[i] = usable[index(node.a)];
        break;
      case Kind::kInside:
        live[i] = live[index(node.b)];
        break;
      case Kind::kBoth:
      case Kind::kComplement:
      case Kind::kMultiple:
      case Kind::kEmptyText:
        live[i] = 1;
        break;
    }
  }
  return live;
}

ExprId ExpressionPool::without_rules(ExprId id, const std::vector<char>& usable,
                                     std::unordered_map<ExprId, ExprId>& done) {
  const Node node = nodes_[index(id)];
  if (!node.has_container) return id;
  if (const auto found = done.find(id); found != done.end()) return found->second;
  ExprId result = id;
  switch (node.kind) {
    case Kind::kContainer:
      if (!usable[index(node.a)]) result = kNothing;
      break;
    case Kind::kConcat: {
      // Along the list in a loop: a large object is a long one.
      std::vector<ExprId> heads;
      ExprId tail = id;
      while (nodes_[index(tail)].kind == Kind::kConcat && !done.contains(tail)) {
        heads.push_back(tail);
        tail = nodes_[index(tail)].b;
      }
      ExprId rest = without_rules(tail, usable, done);
      for (auto at = heads.rbegin(); at != heads.rend(); ++at) {
        rest = concat(without_rules(nodes_[index(*at)].a, usable, done), rest);
        done.emplace(*at, rest);
      }
      return rest;
    }
    case Kind::kEither: {
      std::vector<ExprId> kept;
      for (const ExprId part : parts(id)) kept.push_back(without_rules(part, usable, done));
      result = either(kept);
      break;
    }
    case Kind::kRepeat:
      result = repeat(without_rules(node.a, usable, done), node.min, node.max);
      break;
    default:
      fail_internal("a container where none can be");
  }
  done.emplace(id, result);
  return result;
}

// Only the front of a long list counts down: the rest of a character (at most 11 bytes of an
// escape) and the repetition that it belongs to.
ExprId ExpressionPool::shortened(ExprId id, std::int64_t length, int depth) {
  constexpr int kFront = 16;
  if (depth > kFront) return id;
  if (length != shortened_to_) {
    shortened_.clear();
    shortened_to_ = length;
  }
  if (const auto found = shortened_.find(id); found != shortened_.end()) return found->second;
  const Node node = nodes_[index(id)];
  ExprId result = id;
  switch (node.kind) {
    case Kind::kConcat:
      result = concat(shortened(node.a, length, depth + 1), shortened(node.b, length, depth + 1));
      break;
    case Kind::kEither: {
      std::vector<ExprId> kept = parts(id);
      for (ExprId& part : kept) part = shortened(part, length, depth + 1);
      result = either(kept);
      break;
    }
    case Kind::kInside:
      result = inside(node.a, shortened(node.b, length, depth + 1));
      break;
    case Kind::kRepeat:
      // Each round takes at least a byte.
      if (!nullable(node.a)) {
        result = repeat(node.a, std::min(node.min, length + 1),
                        node.max > length ? kUnlimited : node.max);
      }
      break;
    default:
      break;
  }
  shortened_.emplace(id, result);
  return result;
}

}  // namespace tigerbot::constraint
