#include "serve/service.h"

namespace tigerbot::serve {

OrderedJson Service::model_json(const std::string& name) const {
  OrderedJson model = {{"id", name}, {"object", "model"}};
  for (const auto& encoder : embedding_models_) {
    if (encoder->name() != name) continue;
    model["created"] = encoder->created();
    model["owned_by"] = "tigerbot";
    model["max_model_len"] = encoder->embedder().max_tokens();
    model["capabilities"] = {"embeddings"};
    return model;
  }
  const auto found = named_model(name);
  model["created"] = found->created();
  model["owned_by"] = "tigerbot";
  if (!found->parent().empty()) {
    model["root"] = found->parent();
    model["parent"] = found->parent();
  }
  if (found->limits().context_length > 0) {
    model["max_model_len"] = found->limits().context_length;
  }
  model["capabilities"] = {"completions", "embeddings"};
  if (!found->model().files().chat_template.empty()) {
    model["capabilities"].insert(model["capabilities"].begin(), "chat");
  }
  return model;
}

Reply Service::list_models(const HttpRequest&) {
  auto list = OrderedJson::array();
  for (const std::string& name : model_names()) list.push_back(model_json(name));
  return json_response({{"object", "list"}, {"data", list}});
}

Reply Service::show_model(const HttpRequest& request) {
  return json_response(model_json(request.path.substr(std::string_view("/v1/models/").size())));
}

Reply Service::health(const HttpRequest&) { return json_response({{"status", "ok"}}); }

Reply Service::ready(const HttpRequest&) {
  HttpResponse response = json_response({{"status", draining_ ? "draining" : "ready"}});
  if (draining_) response.status = 503;
  return response;
}

Reply Service::metrics(const HttpRequest&) {
  std::string text;
  requests_.write(text);
  write_metric_head(text, "tigerbot_clients_gone_total", "counter",
                    "Clients that went away before the end of their answer");
  write_metric(text, "tigerbot_clients_gone_total", "", static_cast<double>(clients_gone_));
  if (server_) {
    const auto [connections, bytes] = server_();
    write_metric_head(text, "tigerbot_connections", "gauge", "Open connections");
    write_metric(text, "tigerbot_connections", "", static_cast<double>(connections));
    write_metric_head(text, "tigerbot_buffered_request_bytes", "gauge",
                      "Bodies of requests that are being read or answered");
    write_metric(text, "tigerbot_buffered_request_bytes", "", static_cast<double>(bytes));
  }

  struct Number {
    const char* name;
    const char* type;
    const char* help;
    double (*value)(const EngineStatistics&);
  };
#define TIGERBOT_NUMBER(NAME, TYPE, HELP, FIELD)                               \
  Number {                                                                     \
    "tigerbot_" NAME, TYPE, HELP,                                              \
        [](const EngineStatistics& s) { return static_cast<double>(s.FIELD); } \
  }
  static const Number kNumbers[] = {
      TIGERBOT_NUMBER("answers_running", "gauge", "Answers that are being made", running),
      TIGERBOT_NUMBER("answers_waiting", "gauge", "Answers that wait", waiting),
      TIGERBOT_NUMBER("cache_blocks", "gauge", "Blocks of the key/value cache", num_blocks),
      TIGERBOT_NUMBER("cache_blocks_free", "gauge", "Blocks that no answer holds", free_blocks),
      TIGERBOT_NUMBER("cache_blocks_kept", "gauge",
                      "Free blocks that still hold prompts, for others that begin alike",
                      cached_blocks),
      TIGERBOT_NUMBER("cache_block_tokens", "gauge", "Tokens of a block", block_size),
      TIGERBOT_NUMBER("cache_block_bytes", "gauge", "Bytes of a block, over all layers",
                      block_bytes),
      TIGERBOT_NUMBER("cache_tokens_stored", "gauge", "Tokens that running answers hold",
                      stored_tokens),
      TIGERBOT_NUMBER("cache_tokens_held", "gauge", "Room in the blocks of running answers",
                      held_tokens),
      TIGERBOT_NUMBER("cache_fragmentation_ratio", "gauge",
                      "Share of that room where nothing is stored", fragmentation()),
      TIGERBOT_NUMBER("requests_total", "counter", "Requests to the engine", requests),
      TIGERBOT_NUMBER("answers_finished_total", "counter", "Answers that ended of themselves",
                      finished),
      TIGERBOT_NUMBER("answers_cancelled_total", "counter",
                      "Answers whose client went away or that a shutdown ended", cancelled),
      TIGERBOT_NUMBER("answers_timed_out_total", "counter", "Answers that waited too long",
                      timeouts),
      TIGERBOT_NUMBER("answers_failed_total", "counter", "Answers that an error ended", errors),
      TIGERBOT_NUMBER("requests_refused_total", "counter", "Requests that found the queue full",
                      refused),
      TIGERBOT_NUMBER("preemptions_total", "counter", "Answers put off to be computed again",
                      preemptions),
      TIGERBOT_NUMBER("prompt_tokens_total", "counter", "Tokens of prompts", prompt_tokens),
      TIGERBOT_NUMBER("prompt_tokens_cached_total", "counter",
                      "Tokens of prompts that the cache had already", prefix_hit_tokens),
      TIGERBOT_NUMBER("generated_tokens_total", "counter", "Tokens of answers", new_tokens),
      TIGERBOT_NUMBER("lookup_tokens_guessed_total", "counter", "Tokens that prompt lookup guessed",
                      drafted_tokens),
      TIGERBOT_NUMBER("lookup_tokens_right_total", "counter", "Those of them that were right",
                      accepted_tokens),
      TIGERBOT_NUMBER("steps_total", "counter", "Steps of the model", steps),
      TIGERBOT_NUMBER("step_seconds_total", "counter", "Time that they took", step_seconds),
  };
#undef TIGERBOT_NUMBER
  std::vector<EngineStatistics> statistics;
  std::vector<std::string> labels;
  for (const auto& model : models_) {
    statistics.push_back(model->engine().statistics());
    labels.push_back(metric_label("model", model->name()));
  }
  for (const Number& one : kNumbers) {
    if (models_.empty()) break;
    write_metric_head(text, one.name, one.type, one.help);
    for (std::size_t i = 0; i < models_.size(); ++i) {
      write_metric(text, one.name, labels[i], one.value(statistics[i]));
    }
  }
  struct Times {
    const char* name;
    const char* help;
    Histogram ModelMetrics::*histogram;
  };
  static const Times kTimes[] = {
      {"tigerbot_time_to_first_token_seconds", "From the whole request to the first token",
       &ModelMetrics::time_to_first_token},
      {"tigerbot_time_between_tokens_seconds", "Between two tokens of an answer",
       &ModelMetrics::time_between_tokens},
      {"tigerbot_answer_seconds", "From the whole request to the end of an answer",
       &ModelMetrics::answer_time},
  };
  for (const Times& one : kTimes) {
    if (models_.empty()) break;
    write_metric_head(text, one.name, "histogram", one.help);
    for (std::size_t i = 0; i < models_.size(); ++i) {
      (models_[i]->metrics().*one.histogram).write(text, one.name, labels[i]);
    }
  }
  write_process_metrics(text);
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = std::move(text);
  return response;
}

}  // namespace tigerbot::serve
