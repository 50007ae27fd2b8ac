// Expressions taken apart, so that what many states have in common is looked at once.

#include <algorithm>
#include <unordered_set>

#include "base/hash.h"
#include "infer/constraint/expression.h"

namespace tigerbot::constraint {

std::optional<ExpressionPool::LiteralStep> ExpressionPool::literal_step(ExprId id) {
  const Node& node = nodes_[index(id)];
  if (node.kind == Kind::kInside) {
    const RuleId rule = node.a;
    const auto inner = literal_step(node.b);
    if (!inner) return std::nullopt;
    return LiteralStep{inner->byte, inside(rule, inner->rest)};
  }
  const Node& head = node.kind == Kind::kConcat ? nodes_[index(node.a)] : node;
  if (head.kind != Kind::kBytes) return std::nullopt;
  const std::optional<unsigned char> byte = sets_[index(head.a)].only();
  if (!byte) return std::nullopt;
  return LiteralStep{*byte, node.kind == Kind::kConcat ? node.b : kEmpty};
}

std::vector<ExpressionPool::Sequel> ExpressionPool::sequels(ExprId id) {
  const auto is_head = [&](ExprId part) {
    const Node& node = nodes_[index(part)];
    if (node.has_container) return false;
    return node.kind == Kind::kBoth || (node.kind == Kind::kRepeat && node.max == kUnlimited);
  };
  const Node node = nodes_[index(id)];
  switch (node.kind) {
    case Kind::kConcat:
      if (is_head(node.a)) return {{node.a, node.b}};
      break;
    case Kind::kRepeat:
    case Kind::kBoth:
      if (is_head(id)) return {{id, kEmpty}};
      break;
    case Kind::kInside: {
      std::vector<Sequel> inner = sequels(node.b);
      for (Sequel& sequel : inner) sequel.rest = inside(node.a, sequel.rest);
      return inner;
    }
    case Kind::kEither: {
      std::vector<Sequel> found;
      std::vector<ExprId> others;
      for (const ExprId part : parts(id)) {
        for (const Sequel& sequel : sequels(part)) {
          if (sequel.head == kEmpty) {
            others.push_back(sequel.rest);
          } else {
            found.push_back(sequel);
          }
        }
      }
      if (found.empty()) break;
      if (!others.empty()) found.push_back({kEmpty, either(others)});
      return found;
    }
    default:
      break;
  }
  return {{kEmpty, id}};
}

std::vector<ExprId> ExpressionPool::parts_first(
    ExprId id, const std::function<std::vector<ExprId>(ExprId)>& parts_of) {
  std::vector<ExprId> order;
  std::unordered_set<ExprId> done;
  std::vector<ExprId> waiting{id};
  while (!waiting.empty() && order.size() <= kMaxDescribed) {
    const ExprId next = waiting.back();
    if (done.contains(next)) {
      waiting.pop_back();
      continue;
    }
    const std::size_t before = waiting.size();
    const std::vector<ExprId> inner = parts_of(next);
    for (auto part = inner.rbegin(); part != inner.rend(); ++part) {
      if (!done.contains(*part)) waiting.push_back(*part);
    }
    if (waiting.size() > before) continue;
    waiting.pop_back();
    done.insert(next);
    order.push_back(next);
  }
  return order;
}

std::string ExpressionPool::description(ExprId id) const {
  const auto parts_of = [&](ExprId whole) {
    const Node& node = nodes_[index(whole)];
    std::vector<ExprId> inner = parts(whole);
    if (node.kind == Kind::kConcat || node.kind == Kind::kComplement ||
        node.kind == Kind::kRepeat) {
      inner.push_back(node.a);
    }
    if (node.kind == Kind::kConcat || node.kind == Kind::kInside) inner.push_back(node.b);
    return inner;
  };
  const auto put = [](std::string& text, std::uint64_t value) {
    for (; value >= 128; value >>= 7) text += static_cast<char>(value | 128);
    text += static_cast<char>(value);
  };
  const auto put_node = [&](std::string& text, ExprId one) {
    const Node& node = nodes_[index(one)];
    const bool of_rule = node.kind == Kind::kInside || node.kind == Kind::kContainer;
    put(text, static_cast<std::uint64_t>(node.kind));
    put(text, node.opener);
    put(text, static_cast<std::uint64_t>(node.min));
    put(text, static_cast<std::uint64_t>(node.max));
    put(text, of_rule ? static_cast<std::uint64_t>(node.a) : 0);
    if (node.kind == Kind::kBytes) {
      for (const std::uint64_t word : sets_[index(node.a)].words()) put(text, word);
    }
  };
  // A pool orders alternatives as it met them; here they stand in the order of their hashes.
  std::unordered_map<ExprId, std::uint64_t> hashes;
  const auto ordered_parts_of = [&](ExprId whole) {
    std::vector<ExprId> inner = parts_of(whole);
    const Kind kind = nodes_[index(whole)].kind;
    if (kind == Kind::kEither || kind == Kind::kBoth) {
      std::stable_sort(inner.begin(), inner.end(),
                       [&](ExprId a, ExprId b) { return hashes.at(a) < hashes.at(b); });
    }
    return inner;
  };
  const std::vector<ExprId> order = parts_first(id, parts_of);
  if (order.size() > kMaxDescribed) return {};
  for (const ExprId one : order) {
    std::string text;
    put_node(text, one);
    for (const ExprId part : ordered_parts_of(one)) put(text, hashes.at(part));
    hashes.emplace(one, hash128(text).low);
  }
  // A part is named by its place among those before it.
  std::string text;
  std::unordered_map<ExprId, std::size_t> places;
  for (const ExprId one : parts_first(id, ordered_parts_of)) {
    put_node(text, one);
    const std::vector<ExprId> inner = ordered_parts_of(one);
    put(text, inner.size());
    for (const ExprId part : inner) put(text, places.at(part));
    places.emplace(one, places.size());
  }
  return text;
}

}  // namespace tigerbot::constraint
