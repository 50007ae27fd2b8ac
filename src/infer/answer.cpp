#include "infer/answer.h"

#include <algorithm>

namespace tigerbot {

namespace {

SamplingOptions sampling_of(const GenerationRequest& request, std::int64_t index) {
  SamplingOptions options = request.sampling;
  options.stream += static_cast<std::uint64_t>(index);
  return options;
}

}  // namespace

Answer::Answer(std::shared_ptr<ActiveRequest> owner_, std::int64_t index_,
               const Tokenizer& tokenizer)
    : owner(std::move(owner_)),
      index(index_),
      sampler(sampling_of(owner->request, index), owner->request.prompt),
      stop(owner->request.stop),
      decoder(tokenizer, /*skip_special_tokens=*/true) {
  const GenerationRequest& request = owner->request;
  tokens = request.prompt;
  priority = request.priority;
  client = request.client;
  if (request.constraint) constraint = request.constraint->clone();
}

GenerationUpdate Answer::update() const {
  GenerationUpdate update;
  update.id = owner->id;
  update.index = index;
  update.prompt_tokens = prompt_tokens();
  update.new_tokens = new_tokens;
  update.cached_prompt_tokens = std::min(prefix_hits, prompt_tokens());
  return update;
}

}  // namespace tigerbot
