#include "infer/constraint/expression.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace tigerbot::constraint {
namespace {

TEST(Expression, EqualExpressionsAreOne) {
  ExpressionPool pool;
  const ExprId left = pool.concat(pool.concat(pool.byte('a'), pool.byte('b')), pool.byte('c'));
  EXPECT_EQ(left, pool.literal("abc"));
  EXPECT_EQ(pool.either({pool.literal("ab"), pool.literal("cd"), pool.literal("ab")}),
            pool.either({pool.literal("cd"), pool.literal("ab")}));
}

TEST(Expression, RepetitionCountsDown) {
  ExpressionPool pool;
  const ExprId some = pool.repeat(pool.byte('a'), 2, 4);
  EXPECT_FALSE(pool.matches(some, "a"));
  EXPECT_TRUE(pool.matches(some, "aa"));
  EXPECT_TRUE(pool.matches(some, "aaaa"));
  EXPECT_FALSE(pool.matches(some, "aaaaa"));
  EXPECT_EQ(pool.derivative(some, 'a'), pool.repeat(pool.byte('a'), 1, 3));
}

TEST(Expression, AHugeRepetitionIsOneExpression) {
  ExpressionPool pool;
  pool.repeat(pool.byte('a'), 0, 1'000'000'000);
  EXPECT_LT(pool.size(), 10U);
}

TEST(Expression, AnIntersectionThatIsEmptyIsNothing) {
  ExpressionPool pool;
  const ExprId letters = pool.repeat(pool.range('a', 'z'), 0, kUnlimited);
  EXPECT_EQ(pool.both({pool.concat(letters, pool.byte('1')), letters}), kNothing);
  EXPECT_EQ(pool.both({pool.repeat(pool.byte('a'), 0, 4), pool.repeat(pool.byte('a'), 5, 9)}),
            kNothing);
  EXPECT_NE(pool.both({pool.repeat(pool.byte('a'), 0, 5), pool.repeat(pool.byte('a'), 5, 9)}),
            kNothing);
}

TEST(Expression, AnIntersectionBecomesNothingAsSoonAsItCannotEnd) {
  ExpressionPool pool;
  const ExprId any = pool.repeat(pool.range('a', 'c'), 0, kUnlimited);
  const ExprId has_bb = pool.concat({any, pool.literal("bb"), any});
  ExprId left = pool.both({has_bb, pool.repeat(pool.range('a', 'c'), 0, 3)});
  ASSERT_NE(left, kNothing);
  EXPECT_NE(left = pool.derivative(left, 'a'), kNothing);  // "abb" is possible
  EXPECT_EQ(pool.derivative(left, 'a'), kNothing);         // "aa" has no room for "bb"
}

TEST(Expression, IsTakenApartWhereItBeginsAsManyDo) {
  ExpressionPool pool;
  const ExprId letters = pool.repeat(pool.range('a', 'z'), 0, kUnlimited);
  const ExprId one = pool.concat(letters, pool.literal("\"1"));
  const ExprId other = pool.concat(letters, pool.literal("\"2"));
  const ExprId few = pool.concat(pool.repeat(pool.byte(' '), 0, 9), pool.byte('x'));
  const auto sequels = pool.sequels(pool.inside(3, pool.either({one, other, few, kEmpty})));
  ASSERT_EQ(sequels.size(), 3U);
  EXPECT_EQ(sequels[0].head, letters);
  EXPECT_EQ(sequels[1].head, letters);
  EXPECT_EQ(
      pool.either({sequels[0].rest, sequels[1].rest}),
      pool.either({pool.inside(3, pool.literal("\"1")), pool.inside(3, pool.literal("\"2"))}));
  EXPECT_EQ(sequels[2].head, kEmpty);
  EXPECT_EQ(sequels[2].rest, pool.inside(3, pool.either({few, kEmpty})));
  ASSERT_EQ(pool.sequels(few).size(), 1U);
  EXPECT_EQ(pool.sequels(few)[0].head, kEmpty);
  EXPECT_EQ(pool.sequels(few)[0].rest, few);
}

TEST(Expression, OneByteThatGoesOnIsKnownWithoutATable) {
  ExpressionPool pool;
  const auto step = pool.literal_step(pool.inside(2, pool.literal("ab")));
  ASSERT_TRUE(step);
  EXPECT_EQ(step->byte, 'a');
  EXPECT_EQ(step->rest, pool.inside(2, pool.byte('b')));
  EXPECT_EQ(pool.literal_step(pool.byte('b'))->rest, kEmpty);
  EXPECT_FALSE(pool.literal_step(pool.range('a', 'b')));
  EXPECT_FALSE(pool.literal_step(pool.optional(pool.byte('a'))));
  EXPECT_FALSE(pool.literal_step(kNothing));
  EXPECT_FALSE(pool.literal_step(kEmpty));
}

TEST(Expression, EqualExpressionsOfDifferentPoolsHaveOneDescription) {
  ExpressionPool pool, other;
  other.byte('c');
  other.complement(other.literal("abc"));
  const auto make = [](ExpressionPool& in, unsigned char byte, std::int64_t least) {
    const ExprId part = in.either({in.literal("ab"), in.byte(byte)});
    return in.both({in.repeat(part, least, kUnlimited), in.complement(in.literal("abc"))});
  };
  const std::string text = pool.description(make(pool, 'c', 1));
  EXPECT_FALSE(text.empty());
  EXPECT_NE(text, pool.description(make(pool, 'd', 1)));
  EXPECT_NE(text, pool.description(make(pool, 'c', 2)));
  EXPECT_EQ(pool.description(pool.literal(std::string(5000, 'x'))), "");
  // The second pool met the parts in another order.
  EXPECT_EQ(text, other.description(make(other, 'c', 1)));
}

TEST(Expression, ComplementWithinAnIntersection) {
  ExpressionPool pool;
  const ExprId any = pool.repeat(pool.range('a', 'z'), 0, kUnlimited);
  const ExprId other = pool.both({any, pool.complement(pool.literal("name"))});
  EXPECT_TRUE(pool.matches(other, "nam"));
  EXPECT_TRUE(pool.matches(other, "names"));
  EXPECT_FALSE(pool.matches(other, "name"));
}

TEST(Expression, MultiplesOfANumber) {
  ExpressionPool pool;
  const ExprId multiple = pool.multiple(7);
  for (int i = 0; i < 500; ++i) EXPECT_EQ(pool.matches(multiple, std::to_string(i)), i % 7 == 0);
}

}  // namespace
}  // namespace tigerbot::constraint
