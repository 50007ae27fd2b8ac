#pragma once

#include <atomic>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "serve/access_log.h"
#include "serve/api/error.h"
#include "serve/embedding_model.h"
#include "serve/generation_answer.h"
#include "serve/http/message.h"
#include "serve/keys.h"
#include "serve/metrics.h"
#include "serve/serving_model.h"

namespace tigerbot::serve {

struct ServiceOptions {
  std::vector<std::string> cors_origins;
  /// Names that requests may be addressed to besides the machine's own; only looked at where
  /// `check_host` says so.
  std::vector<std::string> hosts;
  /// Whether to refuse requests to other names, so that no web page can reach a local server by a
  /// name of its own that leads here.
  bool check_host = true;
  bool log_prompts = false;
};

/// OpenAI's API over HTTP: finds the route, the key, the model, and answers.
class Service : public HttpHandler {
 public:
  Service(const ServiceOptions& options, std::unique_ptr<AccessLog> log);

  /// Before the first request. The first model that generates is the default one.
  void add(std::shared_ptr<ServingModel> model);
  void add(std::shared_ptr<EmbeddingModel> model);
  /// From any thread; nullptr: no keys are asked for.
  void set_keys(std::shared_ptr<const KeyRing> keys);
  /// From any thread: refuses new work (503) from now on.
  void set_draining() { draining_ = true; }
  /// What /metrics says of connections.
  void set_server(std::function<std::pair<std::size_t, std::size_t>()> connections_and_bytes) {
    server_ = std::move(connections_and_bytes);
  }

  const std::vector<std::shared_ptr<ServingModel>>& models() const { return models_; }

  std::optional<HttpResponse> refuse(const HttpRequest& head) override;
  Reply handle(const HttpRequest& request) override;
  HttpResponse error(int status, const std::string& message) override;
  void decorate(const HttpRequest& request, HttpResponse& response) override;
  void finished(const HttpRequest& request, const ExchangeRecord& record) override;

 private:
  using Function = Reply (Service::*)(const HttpRequest& request);
  struct Route {
    const char* method;
    Function function;
    bool open;  ///< needs no key
    bool work;  ///< counts as a request and is refused while draining
  };

  static const std::multimap<std::string, Route>& routes();
  const Route* find_route(const HttpRequest& request) const;
  void add_rate_limits(const HttpRequest& request, HttpResponse& response) const;
  void check_origin(const HttpRequest& request) const;
  bool origin_allowed(const std::string& origin) const;
  std::shared_ptr<ApiKey> key_of(const HttpRequest& request) const;
  std::shared_ptr<ServingModel> find_model(Fields& fields) const;
  std::shared_ptr<ServingModel> named_model(const std::string& name) const;
  std::shared_ptr<AnswerSummary> summarize(const HttpRequest& request, const std::string& model);
  Reply generate(const HttpRequest& request, const std::shared_ptr<ServingModel>& model,
                 GenerationAnswerOptions options, std::unique_ptr<ResponseFormat> format,
                 std::shared_ptr<AnswerSummary> summary);

  Reply chat_completions(const HttpRequest& request);
  Reply completions(const HttpRequest& request);
  Reply embeddings(const HttpRequest& request);
  Reply list_models(const HttpRequest& request);
  Reply show_model(const HttpRequest& request);
  Reply tokenize(const HttpRequest& request);
  Reply detokenize(const HttpRequest& request);
  Reply health(const HttpRequest& request);
  Reply ready(const HttpRequest& request);
  Reply metrics(const HttpRequest& request);
  Reply page(const HttpRequest& request);

  OrderedJson model_json(const std::string& name) const;
  std::vector<std::string> model_names() const;

  ServiceOptions options_;
  std::unique_ptr<AccessLog> log_;
  std::vector<std::shared_ptr<ServingModel>> models_;
  std::vector<std::shared_ptr<EmbeddingModel>> embedding_models_;
  mutable std::mutex keys_mutex_;
  std::shared_ptr<const KeyRing> keys_;
  std::atomic<bool> draining_ = false;
  std::function<std::pair<std::size_t, std::size_t>()> server_;
  RequestCounts requests_;
  std::atomic<std::uint64_t> clients_gone_ = 0;
  std::mutex summaries_mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<AnswerSummary>> summaries_;  // by serial
};

/// 200 with a JSON body.
HttpResponse json_response(const OrderedJson& body);

}  // namespace tigerbot::serve
