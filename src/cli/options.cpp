#include "cli/options.h"

#include <ATen/Parallel.h>

#include <cstdio>
#include <thread>

#include "base/error.h"
#include "ops/device.h"
#include "weights/hub/models.h"

namespace tigerbot {

void ModelOptions::add(CLI::App& command) {
  command
      .add_option("MODEL", model,
                  "A Hugging Face directory, a .gguf file, or a name that `tigerbot pull` knows")
      ->required();
  command.add_option("--device", device, "cpu, cuda or cuda:N")->capture_default_str();
  command
      .add_option("--dtype", dtype,
                  "Type of the weights: bfloat16, float32, or auto (the model's own)")
      ->capture_default_str();
  command.add_option("--threads", threads, "Processor threads (default: one a core)");
}

std::filesystem::path ModelOptions::prepare() const {
  if (threads < 0 || threads > 1024) fail("--threads must be from 1 to 1024");
  if (threads > 0) at::set_num_threads(threads);
  return resolve_model(model);
}

at::Device ModelOptions::parsed_device() const { return parse_device(device); }

std::optional<at::ScalarType> ModelOptions::parsed_dtype() const { return parse_dtype(dtype); }

void SamplingFlags::add(CLI::App& command) {
  command.add_option("--max-new-tokens", max_new_tokens, "Longest answer")->capture_default_str();
  command.add_option("--temperature", temperature,
                     "0 takes the most likely token; higher is more varied");
  command.add_option("--top-k", top_k, "Draw from the K most likely tokens; 0 is off");
  command.add_option("--top-p", top_p, "Draw from the fewest tokens that hold this probability");
  command.add_option("--min-p", min_p,
                     "Draw from tokens at least this fraction as likely as the likeliest");
  command.add_option("--repetition-penalty", repetition_penalty,
                     "Above 1 makes tokens of the prompt and the answer less likely");
  command.add_option("--presence-penalty", presence_penalty,
                     "Taken off the logit of every token that the answer has");
  command.add_option("--frequency-penalty", frequency_penalty,
                     "Taken off once for each time that the answer has the token");
  command.add_option("--seed", seed, "Same seed, same answer")->capture_default_str();
  command.add_option("--stop", stop, "End the answer before this text (may be given many times)");
}

GenerationRequest SamplingFlags::request(const LanguageModel& model) const {
  GenerationRequest request;
  request.sampling = model.default_sampling();
  SamplingOptions& sampling = request.sampling;
  sampling.temperature = temperature.value_or(sampling.temperature);
  sampling.top_k = top_k.value_or(sampling.top_k);
  sampling.top_p = top_p.value_or(sampling.top_p);
  sampling.min_p = min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.presence_penalty = presence_penalty.value_or(0.0);
  sampling.frequency_penalty = frequency_penalty.value_or(0.0);
  sampling.seed = seed;
  sampling.check();
  if (max_new_tokens < 1) fail("--max-new-tokens must be at least 1");
  request.max_new_tokens = max_new_tokens;
  request.stop = stop;
  return request;
}

void EngineFlags::add(CLI::App& command) {
  command
      .add_option("--kv-cache-dtype", kv_cache_dtype,
                  "How keys and values are kept: auto (the model's type), or int8 (8 bits, about "
                  "half the memory)")
      ->capture_default_str();
  command
      .add_option("--rope-scaling", rope_scaling,
                  "Take prompts and answers past the trained length: linear, dynamic (NTK) or yarn")
      ->capture_default_str();
  command
      .add_option("--rope-factor", rope_factor,
                  "With --rope-scaling, the context in trained lengths")
      ->capture_default_str();
}

EngineOptions EngineFlags::options() const {
  EngineOptions options;
  options.cache_dtype = parse_kv_cache_dtype(kv_cache_dtype);
  options.rope_scaling = parse_rope_scaling(rope_scaling);
  options.rope_factor = rope_factor;
  if (!(rope_factor >= 1 && rope_factor <= 1024)) fail("--rope-factor must be from 1 to 1024");
  return options;
}

void print_json(const nlohmann::ordered_json& object) {
  const std::string text = object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
  std::printf("%s\n", text.c_str());
}

}  // namespace tigerbot
