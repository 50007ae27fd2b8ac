#include "infer/constraint/code_points.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/utf8.h"

namespace tigerbot::constraint {

namespace {

constexpr char32_t kLastCodePoint = 0x10FFFF;
constexpr char32_t kFirstSurrogate = 0xD800;
constexpr char32_t kLastSurrogate = 0xDFFF;

/// Characters whose UTF-8 has the same length, first and last, as sequences of byte ranges: cut
/// where a trailing byte does not run over all its values.
void add_sequences(ExpressionPool& pool, std::string_view first, std::string_view last,
                   std::vector<ExprId>& parts, ExprId before) {
  const auto at = [](std::string_view text, std::size_t i) {
    return static_cast<unsigned char>(text[i]);
  };
  if (first.size() == 1) {
    parts.push_back(pool.concat(before, pool.range(at(first, 0), at(last, 0))));
    return;
  }
  const std::string low(first.size() - 1, '\x80');
  const std::string high(first.size() - 1, '\xBF');
  const auto trailing = pool.range(0x80, 0xBF);
  unsigned from = at(first, 0);
  unsigned to = at(last, 0);
  if (from == to) {
    add_sequences(pool, first.substr(1), last.substr(1), parts,
                  pool.concat(before, pool.range(from, from)));
    return;
  }
  if (first.substr(1) != low) {
    add_sequences(pool, first.substr(1), high, parts, pool.concat(before, pool.range(from, from)));
    ++from;
  }
  const bool cut_last = last.substr(1) != high;
  if (cut_last) --to;
  if (from <= to) {
    parts.push_back(pool.concat({before, pool.range(from, to),
                                 pool.repeat(trailing, static_cast<std::int64_t>(low.size()),
                                             static_cast<std::int64_t>(low.size()))}));
  }
  if (cut_last) {
    add_sequences(pool, low, last.substr(1), parts,
                  pool.concat(before, pool.range(at(last, 0), at(last, 0))));
  }
}

void add_utf8(ExpressionPool& pool, char32_t first, char32_t last, std::vector<ExprId>& parts) {
  constexpr char32_t kLastOfLength[] = {0x7F, 0x7FF, 0xFFFF, kLastCodePoint};
  for (const char32_t end : kLastOfLength) {
    if (first > end) continue;
    const char32_t stop = std::min(last, end);
    std::string from, to;
    append_utf8(from, first);
    append_utf8(to, stop);
    // The surrogates lie in one length and are in no set.
    add_sequences(pool, from, to, parts, kEmpty);
    if (stop == last) return;
    first = stop + 1;
  }
}

std::string escaped(char32_t c) {
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      return fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
  }
}

bool needs_escape(char32_t c) { return c < 0x20 || c == '"' || c == '\\'; }

}  // namespace

CodePoints CodePoints::of(char32_t first, char32_t last) {
  CodePoints set;
  if (first <= last) set.ranges_.push_back({first, std::min(last, kLastCodePoint)});
  set.normalize();
  return set;
}

CodePoints CodePoints::of_ranges(std::vector<Range> ranges) {
  CodePoints set;
  set.ranges_ = std::move(ranges);
  set.normalize();
  return set;
}

CodePoints CodePoints::all() { return of(0, kLastCodePoint); }

void CodePoints::add(const CodePoints& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  normalize();
}

void CodePoints::normalize() {
  std::vector<Range> cut;
  for (const Range& range : ranges_) {
    if (range.last < kFirstSurrogate || range.first > kLastSurrogate) {
      cut.push_back(range);
      continue;
    }
    if (range.first < kFirstSurrogate) cut.push_back({range.first, kFirstSurrogate - 1});
    if (range.last > kLastSurrogate) cut.push_back({kLastSurrogate + 1, range.last});
  }
  std::sort(cut.begin(), cut.end(),
            [](const Range& a, const Range& b) { return a.first < b.first; });
  ranges_.clear();
  for (const Range& range : cut) {
    if (!ranges_.empty() && range.first <= ranges_.back().last + 1) {
      ranges_.back().last = std::max(ranges_.back().last, range.last);
    } else {
      ranges_.push_back(range);
    }
  }
}

CodePoints CodePoints::complement() const {
  CodePoints set;
  char32_t next = 0;
  for (const Range& range : ranges_) {
    if (range.first > next) set.ranges_.push_back({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLastCodePoint) set.ranges_.push_back({next, kLastCodePoint});
  set.normalize();
  return set;
}

CodePoints CodePoints::without(const CodePoints& other) const {
  CodePoints outside = complement();
  outside.add(other);
  return outside.complement();
}

ExprId one_of(ExpressionPool& pool, const CodePoints& set, Spelling spelling) {
  std::vector<ExprId> parts;
  CodePoints plain = set;
  if (spelling == Spelling::kJson) {
    CodePoints special = CodePoints::of(0, 0x1F);
    special.add('"', '"');
    special.add('\\', '\\');
    plain = set.without(special);
    for (const CodePoints::Range& range : set.ranges()) {
      for (char32_t c = range.first; c <= std::min<char32_t>(range.last, '\\'); ++c) {
        if (needs_escape(c)) parts.push_back(pool.literal(escaped(c)));
      }
    }
  }
  for (const CodePoints::Range& range : plain.ranges()) {
    add_utf8(pool, range.first, range.last, parts);
  }
  return pool.either(parts);
}

ExprId exactly(ExpressionPool& pool, std::string_view text, Spelling spelling) {
  if (spelling == Spelling::kPlain) return pool.literal(text);
  std::string spelled;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Step step = decode_utf8(text, at);
    if (needs_escape(step.code_point)) {
      spelled += escaped(step.code_point);
    } else {
      append_utf8(spelled, step.code_point);
    }
    at += step.length;
  }
  return pool.literal(spelled);
}

}  // namespace tigerbot::constraint
