#include "eval/next_token.h"

#include <algorithm>

#include "base/error.h"

namespace tigerbot {

train::EvaluationResult measure_next_token(LanguageModel& model, const std::filesystem::path& file,
                                           const NextTokenOptions& options) {
  const std::int64_t limit = context_length(model.decoder().config());
  if (options.context < 0 || options.context == 1 || (limit > 0 && options.context > limit)) {
    fail("--context: {}; a row needs at least 2 tokens, and the model takes at most {}",
         options.context, limit);
  }
  const std::int64_t most = limit > 0 ? std::min<std::int64_t>(limit, 2048) : 2048;
  const std::int64_t context = options.context > 0 ? options.context : most;
  const std::vector<train::EvaluationRow> rows =
      train::read_prompt_answers(file, model.tokenizer(), context, options.max_rows, options.seed);
  return train::evaluate_rows(model.decoder(), rows, 2048, /*show_progress=*/true);
}

}  // namespace tigerbot
