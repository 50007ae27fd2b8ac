#include "serve/api/generation_fields.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/hash.h"
#include "base/utf8.h"
#include "serve/api/error.h"
#include "serve/request_id.h"

namespace tigerbot::serve {

namespace {

constexpr std::size_t kMaxStops = 16;
constexpr std::size_t kMaxStopBytes = 1024;
constexpr std::int64_t kMaxTopK = 1'000'000;
constexpr std::int64_t kMaxPriority = 1000;

std::string read_stop(const OrderedJson& value, const std::string& path) {
  if (!value.is_string()) {
    refuse_parameter(path, "'{}' must be a string, not {}", path, kind_of(value));
  }
  auto text = value.get<std::string>();
  if (text.empty()) refuse_parameter(path, "'{}' must not be empty", path);
  if (text.size() > kMaxStopBytes) {
    refuse_parameter(path, "'{}' may have {} bytes at most", path, kMaxStopBytes);
  }
  return text;
}

void read_stops(Fields& fields, GenerationRequest& request) {
  const OrderedJson* stop = fields.find("stop");
  if (stop == nullptr) return;
  if (stop->is_string()) {
    request.stop.push_back(read_stop(*stop, "stop"));
    return;
  }
  if (!stop->is_array()) {
    refuse_parameter("stop", "'stop' must be a string or an array of strings, not {}",
                     kind_of(*stop));
  }
  if (stop->size() > kMaxStops) {
    refuse_parameter("stop", "'stop' may have {} strings at most", kMaxStops);
  }
  for (std::size_t i = 0; i < stop->size(); ++i) {
    request.stop.push_back(read_stop((*stop)[i], fmt::format("stop[{}]", i)));
  }
}

void read_logit_bias(Fields& fields, const ModelLimits& limits, SamplingOptions& sampling) {
  const OrderedJson* bias = fields.find("logit_bias");
  if (bias == nullptr) return;
  if (!bias->is_object()) {
    refuse_parameter("logit_bias", "'logit_bias' must be an object of token ids, not {}",
                     kind_of(*bias));
  }
  Fields values(*bias, "logit_bias");
  for (const auto& [key, value] : bias->items()) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 ||
        id >= limits.vocab_size) {
      refuse_parameter("logit_bias", "'logit_bias' has a key that is no token id below {}",
                       limits.vocab_size);
    }
    const std::optional<double> number = values.number(key, -100, 100);
    if (number) sampling.logit_bias.emplace_back(id, static_cast<float>(*number));
  }
  std::sort(sampling.logit_bias.begin(), sampling.logit_bias.end());
  const auto twice =
      std::adjacent_find(sampling.logit_bias.begin(), sampling.logit_bias.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (twice != sampling.logit_bias.end()) {
    refuse_parameter("logit_bias", "'logit_bias' names token {} twice", twice->first);
  }
}

void read_stream(Fields& fields, GenerationFields& result) {
  result.stream = fields.boolean("stream").value_or(false);
  const OrderedJson* options = fields.find("stream_options");
  if (options == nullptr) return;
  if (!result.stream) {
    refuse_parameter("stream_options", "'stream_options' needs 'stream': true");
  }
  Fields stream(*options, "stream_options");
  result.include_usage = stream.boolean("include_usage").value_or(false);
  if (stream.boolean("include_obfuscation").value_or(false)) {
    refuse_unsupported("stream_options.include_obfuscation", "chunks are not padded here");
  }
  stream.finish();
}

}  // namespace

GenerationFields read_generation_fields(Fields& fields, const ModelLimits& limits) {
  GenerationFields result;
  GenerationRequest& request = result.request;
  request.sampling = limits.default_sampling;
  SamplingOptions& sampling = request.sampling;
  if (const auto value = fields.number("temperature", 0, 2)) sampling.temperature = *value;
  if (const auto value = fields.number("top_p", 0, 1)) {
    if (*value == 0) {
      sampling.top_k = 1;  // the fewest tokens that hold no probability: the likeliest alone
    } else {
      sampling.top_p = *value;
    }
  }
  if (const auto value = fields.number("min_p", 0, 1)) sampling.min_p = *value;
  if (const auto value = fields.integer("top_k", 0, kMaxTopK)) sampling.top_k = *value;
  if (const auto value = fields.number("presence_penalty", -2, 2)) {
    sampling.presence_penalty = *value;
  }
  if (const auto value = fields.number("frequency_penalty", -2, 2)) {
    sampling.frequency_penalty = *value;
  }
  if (const auto value = fields.number("repetition_penalty", 0.01, 100)) {
    sampling.repetition_penalty = *value;
  }
  const auto seed = fields.integer("seed", std::numeric_limits<std::int64_t>::min(),
                                   std::numeric_limits<std::int64_t>::max());
  sampling.seed = seed ? static_cast<std::uint64_t>(*seed) : hash128(random_text(16)).low;
  request.n = fields.integer("n", 1, limits.max_choices).value_or(1);
  request.priority = fields.integer("priority", -kMaxPriority, kMaxPriority).value_or(0);
  if (const auto user = fields.text("user")) request.client = *user;
  read_stops(fields, request);
  read_logit_bias(fields, limits, sampling);
  if (!fields.boolean("ignore_eos").value_or(false)) {
    request.stop_token_ids = limits.stop_token_ids;
  }
  read_stream(fields, result);
  return result;
}

std::optional<std::int64_t> read_token_limit(Fields& fields, std::string_view name) {
  return fields.integer(name, 1, std::numeric_limits<std::int32_t>::max());
}

void fit_to_context(GenerationFields& fields, const ModelLimits& limits, std::int64_t fallback,
                    const std::string& param) {
  GenerationRequest& request = fields.request;
  const auto prompt = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t context = limits.context_length;
  if (context > 0 && prompt >= context) {
    throw ApiError(
        400, "invalid_request_error",
        fmt::format("this model's context is {} tokens and the prompt has {}; shorten it", context,
                    prompt),
        param, "context_length_exceeded");
  }
  constexpr std::int64_t kUnlimited = 1 << 20;
  if (!fields.max_new_tokens_given) {
    request.max_new_tokens = fallback > 0 ? fallback : kUnlimited;
  }
  if (limits.max_new_tokens > 0) {
    request.max_new_tokens = std::min(request.max_new_tokens, limits.max_new_tokens);
  }
  if (context > 0) request.max_new_tokens = std::min(request.max_new_tokens, context - prompt);
}

}  // namespace tigerbot::serve
