// bench_constraint TOKENIZER.json SCHEMAS.jsonl ANSWERS SEED: for each schema (a line with "name"
// and "schema"), how long it takes to compile, and random answers that keep to it with the time of
// each step's mask, first seen (cold) and seen again (warm). One JSON line a schema: the driver of
// bench/structured_output.py. Random tokens stand in for a model: they go where a model seldom
// does.

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "infer/constraint/constraint_compiler.h"
#include "tokenizer/tokenizer.h"

namespace {

using namespace tigerbot;
using Json = nlohmann::ordered_json;

/// Processor time of this thread: a busy machine does not disturb it.
struct Clock {
  using time_point = std::chrono::nanoseconds;
  static time_point now() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
  }
};

double microseconds(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

class Drawer {
 public:
  Drawer(const Tokenizer& tokenizer, std::uint64_t seed) : tokenizer_(tokenizer), seed_(seed) {}

  /// Any allowed token; the longer the answer, the likelier one that ends something.
  TokenId draw(const TokenMask& mask, std::size_t length) {
    std::vector<TokenId> allowed, closing;
    for (TokenId id = 0; id < mask.size(); ++id) {
      if (!mask.allows(id)) continue;
      allowed.push_back(id);
      const std::string piece = tokenizer_.piece(id);
      if (piece.size() <= 2 && piece.find_first_of("\"}]") != std::string::npos)
        closing.push_back(id);
    }
    if (allowed.empty()) fail("no token is allowed");
    const double ends = std::min(0.95, 0.25 + static_cast<double>(length) / 200);
    const auto& from = !closing.empty() && uniform() < ends ? closing : allowed;
    return from[static_cast<std::size_t>(uniform() * static_cast<double>(from.size()))];
  }

 private:
  double uniform() { return random_uniform_double({seed_, 0, drawn_++}); }
  const Tokenizer& tokenizer_;
  std::uint64_t seed_, drawn_ = 0;
};

using Times = std::vector<double>;

/// The step that took longest, and the answer before it.
struct Slowest {
  double time = 0;
  std::vector<TokenId> before;
};

/// Ids of one answer; it is whole if the format ended it.
std::vector<TokenId> answer(const TokenConstraint& start, const Tokenizer& tokenizer,
                            Drawer& drawer, TokenId stop, Times& times, Slowest& slowest,
                            bool& whole) {
  constexpr std::size_t kMaxTokens = 600;
  const auto constraint = start.clone();
  TokenMask mask(tokenizer.size());
  std::vector<TokenId> ids;
  whole = false;
  const auto add = [&](double time) {
    times.push_back(time);
    if (time > slowest.time) slowest = {time, ids};
  };
  while (ids.size() < kMaxTokens) {
    if (constraint->finished()) {
      whole = true;
      break;
    }
    const auto begin = Clock::now();
    constraint->fill(mask);
    const double filled = microseconds(begin);
    const TokenId id = drawer.draw(mask, ids.size());
    if (id == stop) {
      whole = true;
      add(filled);
      break;
    }
    const auto accepted = Clock::now();
    constraint->accept(id);
    add(filled + microseconds(accepted));
    ids.push_back(id);
  }
  return ids;
}

Times replay(const TokenConstraint& start, const Tokenizer& tokenizer,
             const std::vector<TokenId>& ids) {
  const auto constraint = start.clone();
  TokenMask mask(tokenizer.size());
  Times times;
  for (const TokenId id : ids) {
    const auto begin = Clock::now();
    constraint->fill(mask);
    constraint->accept(id);
    times.push_back(microseconds(begin));
  }
  return times;
}

Json measure(ConstraintCompiler& compiler, const Tokenizer& tokenizer, const Json& row,
             std::int64_t answers, std::uint64_t seed, TokenId stop) {
  Json result = {{"name", row["name"]}};
  std::shared_ptr<const TokenConstraint> constraint;
  const auto begin = Clock::now();
  try {
    constraint = compiler.compile(AnswerFormat::json_schema(row["schema"].dump()));
  } catch (const Error& error) {
    result["compile_us"] = microseconds(begin);
    result["error"] = error.what();
    return result;
  }
  result["compile_us"] = microseconds(begin);
  Drawer drawer(tokenizer, seed);
  Times cold, warm;
  Slowest slowest;
  result["answers"] = Json::array();
  try {
    for (std::int64_t i = 0; i < answers; ++i) {
      bool whole = false;
      const std::vector<TokenId> ids =
          answer(*constraint, tokenizer, drawer, stop, cold, slowest, whole);
      const Times again = replay(*constraint, tokenizer, ids);
      warm.insert(warm.end(), again.begin(), again.end());
      result["answers"].push_back(
          {{"text", tokenizer.decode(ids, true)}, {"ids", ids}, {"whole", whole}});
    }
  } catch (const Error& error) {
    result["failure"] = error.what();
  }
  result["cold_us"] = cold;
  result["warm_us"] = warm;
  result["slowest"] = {{"us", slowest.time}, {"after", tokenizer.decode(slowest.before, true)}};
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: bench_constraint TOKENIZER.json SCHEMAS.jsonl ANSWERS SEED\n", stderr);
    return 2;
  }
  try {
    const auto tokenizer = parse_tokenizer_json(read_file(argv[1]), argv[1]);
    TokenId stop = -1;
    for (const char* name : {"<|im_end|>", "<|endoftext|>", "</s>"}) {
      if (stop < 0) stop = tokenizer->id(name).value_or(-1);
    }
    const auto begin = Clock::now();
    ConstraintCompiler compiler(*tokenizer, {stop});
    std::fprintf(stderr, "vocabulary of %ld tokens: %.1f ms\n",
                 static_cast<long>(tokenizer->size()), microseconds(begin) / 1000);
    const std::string rows = read_file(argv[2]);
    for (std::size_t at = 0; at < rows.size();) {
      const auto end = std::min(rows.find('\n', at), rows.size());
      const Json row = Json::parse(rows.substr(at, end - at));
      at = end + 1;
      const Json result = measure(compiler, *tokenizer, row, std::atoll(argv[3]),
                                  static_cast<std::uint64_t>(std::atoll(argv[4])), stop);
      std::puts(result.dump(-1, ' ', false, Json::error_handler_t::replace).c_str());
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_constraint: %s\n", error.what());
    return 2;
  }
}
