#include "infer/constraint/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace tigerbot::constraint {

namespace {

/// Numbers without a sign, as digits, up to a number of places after the point.
class Unsigned {
 public:
  Unsigned(ExpressionPool& pool, std::size_t places) : pool_(pool), places_(places) {}

  ExprId any() { return pool_.concat(whole(kMaxWholeDigits), any_fraction()); }

  ExprId at_most(const Decimal& limit, bool exclusive) {
    std::vector<ExprId> choices{pool_.concat(whole_below(limit.whole), any_fraction())};
    choices.push_back(pool_.concat(
        pool_.literal(limit.whole),
        fraction(limit.fraction.empty() && exclusive ? kNothing
                                                     : digits_at_most(limit.fraction, exclusive),
                 !limit.fraction.empty() || !exclusive)));
    return pool_.either(choices);
  }

  ExprId at_least(const Decimal& limit, bool exclusive) {
    std::vector<ExprId> choices{pool_.concat(whole_above(limit.whole), any_fraction())};
    choices.push_back(pool_.concat(pool_.literal(limit.whole),
                                   fraction(digits_at_least(limit.fraction, exclusive),
                                            limit.fraction.empty() && !exclusive)));
    return pool_.either(choices);
  }

 private:
  ExprId digits(std::size_t min, std::size_t max) {
    return pool_.repeat(pool_.range('0', '9'), static_cast<std::int64_t>(min),
                        static_cast<std::int64_t>(max));
  }
  ExprId digit(char first, char last) {
    return first > last
               ? kNothing
               : pool_.range(static_cast<unsigned char>(first), static_cast<unsigned char>(last));
  }

  /// A whole number of at most so many digits.
  ExprId whole(std::size_t max_digits) {
    if (max_digits == 0) return kNothing;
    return pool_.either(
        {pool_.byte('0'), pool_.concat(pool_.range('1', '9'), digits(0, max_digits - 1))});
  }

  ExprId whole_below(const std::string& limit) {
    std::vector<ExprId> choices;
    if (limit.size() > 1) choices.push_back(whole(limit.size() - 1));
    ExprId prefix = kEmpty;
    for (std::size_t i = 0; i < limit.size(); ++i) {
      const char first = i == 0 && limit.size() > 1 ? '1' : '0';
      choices.push_back(pool_.concat({prefix, digit(first, static_cast<char>(limit[i] - 1)),
                                      digits(limit.size() - i - 1, limit.size() - i - 1)}));
      prefix = pool_.concat(prefix, digit(limit[i], limit[i]));
    }
    return pool_.either(choices);
  }

  ExprId whole_above(const std::string& limit) {
    std::vector<ExprId> choices;
    if (limit.size() < kMaxWholeDigits) {
      choices.push_back(
          pool_.concat(pool_.range('1', '9'), digits(limit.size(), kMaxWholeDigits - 1)));
    }
    ExprId prefix = kEmpty;
    for (std::size_t i = 0; i < limit.size(); ++i) {
      choices.push_back(pool_.concat({prefix, digit(static_cast<char>(limit[i] + 1), '9'),
                                      digits(limit.size() - i - 1, limit.size() - i - 1)}));
      prefix = pool_.concat(prefix, digit(limit[i], limit[i]));
    }
    return pool_.either(choices);
  }

  ExprId any_fraction() { return fraction(digits(1, places_), true); }
  /// The point and its digits, at least one of them.
  ExprId fraction(ExprId some_digits, bool may_lack) {
    if (places_ == 0) some_digits = kNothing;
    const ExprId with_point = pool_.concat(pool_.byte('.'), some_digits);
    return may_lack ? pool_.either({kEmpty, with_point}) : with_point;
  }

  /// One or more digits after the point that are worth at most (below, if exclusive) the limit's.
  ExprId digits_at_most(const std::string& limit, bool exclusive) {
    std::vector<ExprId> choices;
    ExprId prefix = kEmpty;
    for (std::size_t i = 0; i < limit.size() && i < places_; ++i) {
      // Here is less, and whatever follows.
      choices.push_back(pool_.concat(
          {prefix, digit('0', static_cast<char>(limit[i] - 1)), digits(0, places_ - i - 1)}));
      prefix = pool_.concat(prefix, digit(limit[i], limit[i]));
      // The limit's own digits so far: less than the limit unless they are all.
      if (i + 1 < limit.size() || !exclusive) choices.push_back(prefix);
    }
    if (!exclusive && limit.size() < places_) {
      const std::size_t left = places_ - limit.size();
      choices.push_back(pool_.concat(prefix, pool_.repeat(pool_.byte('0'), limit.empty() ? 1 : 0,
                                                          static_cast<std::int64_t>(left))));
    }
    return pool_.either(choices);
  }

  ExprId digits_at_least(const std::string& limit, bool exclusive) {
    std::vector<ExprId> choices;
    ExprId prefix = kEmpty;
    for (std::size_t i = 0; i < limit.size() && i < places_; ++i) {
      choices.push_back(pool_.concat(
          {prefix, digit(static_cast<char>(limit[i] + 1), '9'), digits(0, places_ - i - 1)}));
      prefix = pool_.concat(prefix, digit(limit[i], limit[i]));
    }
    if (limit.size() <= places_) {
      const std::size_t left = places_ - limit.size();
      if (!exclusive) {
        choices.push_back(pool_.concat(prefix, digits(limit.empty() ? 1 : 0, left)));
      } else if (left > 0) {
        // Some digit that is not 0 has to come.
        const ExprId zeros = pool_.repeat(pool_.byte('0'), 0, static_cast<std::int64_t>(left - 1));
        const ExprId more =
            pool_.concat({prefix, zeros, pool_.range('1', '9'), digits(0, left - 1)});
        choices.push_back(pool_.both({more, pool_.concat(prefix, digits(1, left))}));
      }
    }
    return pool_.either(choices);
  }

  ExpressionPool& pool_;
  std::size_t places_;
};

std::size_t places_beside(const Decimal& limit) {
  const std::size_t exact =
      kExactDigits > limit.whole.size() ? kExactDigits - limit.whole.size() : 0;
  return std::max(exact, limit.fraction.size());
}

void check_digits(const NumberLimit& limit) {
  if (limit.exclusive && limit.value.digits() > kExactDigits && !limit.value.fraction.empty()) {
    fail("an exclusive limit of more than {} digits is not supported", kExactDigits);
  }
}

/// A limit that the numbers we write cannot reach, on the side `negative`.
bool out_of_reach(const Decimal& value, bool negative) {
  return value.whole.size() > kMaxWholeDigits && value.negative == negative;
}

ExprId at_least(ExpressionPool& pool, Unsigned& numbers, const NumberLimit& limit) {
  const Decimal& value = limit.value;
  const ExprId minus = pool.byte('-');
  if (value.is_zero() || !value.negative) return numbers.at_least(value, limit.exclusive);
  return pool.either({numbers.any(), pool.concat(minus, numbers.at_most(value, limit.exclusive))});
}

ExprId at_most(ExpressionPool& pool, Unsigned& numbers, const NumberLimit& limit) {
  const Decimal& value = limit.value;
  const ExprId minus = pool.byte('-');
  if (value.negative && !value.is_zero()) {
    return pool.concat(minus, numbers.at_least(value, limit.exclusive));
  }
  // No -0: it is 0, and 0 may be excluded.
  const Decimal zero{.negative = false, .whole = "0", .fraction = ""};
  const ExprId below_zero = pool.concat(minus, numbers.at_least(zero, /*exclusive=*/true));
  return pool.either({below_zero, numbers.at_most(value, limit.exclusive)});
}

ExprId within(ExpressionPool& pool, std::size_t places, const NumberLimits& limits) {
  Unsigned numbers(pool, places);
  const Decimal zero{.negative = false, .whole = "0", .fraction = ""};
  std::vector<ExprId> all{pool.either(
      {numbers.any(), pool.concat(pool.byte('-'), numbers.at_least(zero, /*exclusive=*/true))})};
  if (limits.lower) {
    if (out_of_reach(limits.lower->value, false)) return kNothing;
    if (!out_of_reach(limits.lower->value, true)) {
      all.push_back(at_least(pool, numbers, *limits.lower));
    }
  }
  if (limits.upper) {
    if (out_of_reach(limits.upper->value, true)) return kNothing;
    if (!out_of_reach(limits.upper->value, false)) {
      all.push_back(at_most(pool, numbers, *limits.upper));
    }
  }
  return pool.both(all);
}

}  // namespace

Decimal Decimal::from_json(const nlohmann::ordered_json& number) {
  std::string text =
      number.is_number_float() ? fmt::format("{}", number.get<double>()) : number.dump();
  Decimal decimal;
  if (text.starts_with('-')) {
    decimal.negative = true;
    text.erase(0, 1);
  }
  std::int64_t exponent = 0;
  if (const auto e = text.find_first_of("eE"); e != std::string::npos) {
    exponent = std::strtoll(text.c_str() + e + 1, nullptr, 10);
    text.erase(e);
  }
  const auto point = std::min(text.find('.'), text.size());
  decimal.whole = text.substr(0, point);
  if (point < text.size()) decimal.fraction = text.substr(point + 1);
  for (; exponent > 0; --exponent) {
    decimal.whole += decimal.fraction.empty() ? '0' : decimal.fraction[0];
    if (!decimal.fraction.empty()) decimal.fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    const char moved = decimal.whole.empty() ? '0' : decimal.whole.back();
    if (!decimal.whole.empty()) decimal.whole.pop_back();
    decimal.fraction.insert(decimal.fraction.begin(), moved);
  }
  decimal.whole.erase(0, std::min(decimal.whole.find_first_not_of('0'), decimal.whole.size()));
  if (decimal.whole.empty()) decimal.whole = "0";
  while (decimal.fraction.ends_with('0')) decimal.fraction.pop_back();
  if (decimal.is_zero()) decimal.negative = false;
  return decimal;
}

int compare(const Decimal& a, const Decimal& b) {
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  const int sign = a.negative ? -1 : 1;
  if (a.whole.size() != b.whole.size()) return a.whole.size() < b.whole.size() ? -sign : sign;
  if (const int order = a.whole.compare(b.whole); order != 0) return order < 0 ? -sign : sign;
  const int order = a.fraction.compare(b.fraction);
  return order == 0 ? 0 : order < 0 ? -sign : sign;
}

ExprId integer_expression(ExpressionPool& pool, const NumberLimits& limits) {
  return within(pool, 0, limits);
}

ExprId number_expression(ExpressionPool& pool, const NumberLimits& limits) {
  if (limits.lower || limits.upper) {
    std::size_t places = kExactDigits;
    for (const auto& limit : {limits.lower, limits.upper}) {
      if (!limit) continue;
      check_digits(*limit);
      places = std::min(places, places_beside(limit->value));
    }
    for (const auto& limit : {limits.lower, limits.upper}) {
      if (limit) places = std::max(places, limit->value.fraction.size());
    }
    return within(pool, places, limits);
  }
  Unsigned numbers(pool, 17);
  const ExprId exponent = pool.concat({pool.either({pool.byte('e'), pool.byte('E')}),
                                       pool.optional(pool.either({pool.byte('+'), pool.byte('-')})),
                                       pool.repeat(pool.range('0', '9'), 1, 2)});
  return pool.concat({pool.optional(pool.byte('-')), numbers.any(), pool.optional(exponent)});
}

ExprId fraction_expression(ExpressionPool& pool, std::int64_t digits) {
  Unsigned numbers(pool, static_cast<std::size_t>(digits));
  return pool.concat(pool.optional(pool.byte('-')), numbers.any());
}

}  // namespace tigerbot::constraint
