#include "infer/constraint/numbers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace tigerbot::constraint {
namespace {

using Json = nlohmann::ordered_json;

NumberLimit limit(double value, bool exclusive) {
  return {Decimal::from_json(Json(value)), exclusive};
}

TEST(Numbers, DecimalsOfJson) {
  const auto text = [](const char* json) {
    const Decimal decimal = Decimal::from_json(Json::parse(json));
    return fmt::format("{}{}.{}", decimal.negative ? "-" : "", decimal.whole, decimal.fraction);
  };
  EXPECT_EQ(text("12"), "12.");
  EXPECT_EQ(text("-0.0500"), "-0.05");
  EXPECT_EQ(text("1e3"), "1000.");
  EXPECT_EQ(text("12.5e1"), "125.");
  EXPECT_EQ(text("1e-3"), "0.001");
  EXPECT_EQ(text("-0.0"), "0.");
  EXPECT_EQ(text("18446744073709551615"), "18446744073709551615.");
}

TEST(Numbers, IntegersWithinLimitsAreExactlyThose) {
  for (const double lower : {-120.0, -12.5, -9.0, -1.0, 0.0, 1.0, 7.0, 10.0, 99.5, 101.0}) {
    for (const double upper : {-100.0, -10.5, -9.0, 0.0, 3.0, 9.0, 10.0, 99.5, 109.0}) {
      for (const bool exclusive : {false, true}) {
        ExpressionPool pool;
        const ExprId id =
            integer_expression(pool, {limit(lower, exclusive), limit(upper, exclusive)});
        for (int i = -130; i <= 130; ++i) {
          const bool within = exclusive ? i > lower && i < upper : i >= lower && i <= upper;
          EXPECT_EQ(pool.matches(id, std::to_string(i)), within)
              << i << " of " << lower << " to " << upper;
        }
      }
    }
  }
}

TEST(Numbers, DecimalsWithinLimitsAreExactlyThose) {
  for (const double lower : {-10.25, -1.5, -0.05, 0.0, 0.1, 0.25, 2.0, 9.99}) {
    for (const double upper : {-2.0, -0.1, 0.0, 0.3, 2.5, 10.0, 10.01}) {
      for (const bool exclusive : {false, true}) {
        ExpressionPool pool;
        const ExprId id =
            number_expression(pool, {limit(lower, exclusive), limit(upper, exclusive)});
        for (int hundredths = -1100; hundredths <= 1100; hundredths += 1) {
          const double value = hundredths / 100.0;
          const bool within =
              exclusive ? value > lower && value < upper : value >= lower && value <= upper;
          if (value == 0) continue;  // -0.00 is not written
          EXPECT_EQ(pool.matches(id, fmt::format("{:.2f}", value)), within)
              << value << " of " << lower << " to " << upper << (exclusive ? " exclusive" : "");
        }
        EXPECT_FALSE(pool.matches(id, "-0"));
      }
    }
  }
}

TEST(Numbers, OfNoLimitsAreJson) {
  ExpressionPool pool;
  const ExprId id = number_expression(pool, {});
  for (const char* text : {"0", "-0", "12", "0.5", "-1.25e-3", "1E+9"}) {
    EXPECT_TRUE(pool.matches(id, text)) << text;
  }
  for (const char* text : {"", "-", "01", ".5", "1.", "1e", "+1", "1e999", "0x1", "NaN"}) {
    EXPECT_FALSE(pool.matches(id, text)) << text;
  }
}

TEST(Numbers, LimitsBeyondReachAreNone) {
  ExpressionPool pool;
  const ExprId id = integer_expression(pool, {limit(-1e300, false), limit(1e300, false)});
  EXPECT_TRUE(pool.matches(id, "999999999999999999"));
  EXPECT_EQ(integer_expression(pool, {limit(1e300, false), std::nullopt}), kNothing);
}

TEST(Numbers, NoDigitTurnsAnExclusiveLimitIntoADouble) {
  // 0.29999999999999999 is the double 0.3.
  ExpressionPool pool;
  const ExprId id = number_expression(pool, {std::nullopt, limit(0.3, true)});
  EXPECT_TRUE(pool.matches(id, "0.29999999999999"));
  EXPECT_FALSE(pool.matches(id, "0.29999999999999999"));
}

}  // namespace
}  // namespace tigerbot::constraint
