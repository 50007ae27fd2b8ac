#include "serve/service.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/logging.h"
#include "base/text.h"
#include "serve/web/web_assets.h"

namespace tigerbot::serve {

namespace {

/// "host" of "host:port" or "[::1]:port".
std::string host_name(const std::string& host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

/// The value of a bearer token; empty if there is none.
std::string bearer(const HttpRequest& request) {
  const std::string* header = request.header("authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (header == nullptr || lower(header->substr(0, kScheme.size())) != kScheme) return "";
  return std::string(trim(std::string_view(*header).substr(kScheme.size())));
}

bool is_json(const std::string& content_type) {
  return lower(
             std::string(trim(std::string_view(content_type).substr(0, content_type.find(';'))))) ==
         "application/json";
}

ApiError unexpected(const std::exception& error) {
  log_error("a request failed: {}", error.what());
  return {500, "server_error", "the server failed; its log says more"};
}

}  // namespace

HttpResponse json_response(const OrderedJson& body) {
  HttpResponse response;
  response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return response;
}

Service::Service(const ServiceOptions& options, std::unique_ptr<AccessLog> log)
    : options_(options), log_(std::move(log)) {}

void Service::add(std::shared_ptr<ServingModel> model) { models_.push_back(std::move(model)); }

void Service::add(std::shared_ptr<EmbeddingModel> model) {
  embedding_models_.push_back(std::move(model));
}

void Service::set_keys(std::shared_ptr<const KeyRing> keys) {
  const std::lock_guard lock(keys_mutex_);
  keys_ = std::move(keys);
}

const std::multimap<std::string, Service::Route>& Service::routes() {
  static const std::multimap<std::string, Route> kRoutes{
      {"/v1/chat/completions", {"POST", &Service::chat_completions, false, true}},
      {"/v1/completions", {"POST", &Service::completions, false, true}},
      {"/v1/embeddings", {"POST", &Service::embeddings, false, true}},
      {"/v1/models", {"GET", &Service::list_models, false, false}},
      {"/v1/models/", {"GET", &Service::show_model, false, false}},
      {"/tokenize", {"POST", &Service::tokenize, false, false}},
      {"/detokenize", {"POST", &Service::detokenize, false, false}},
      {"/health", {"GET", &Service::health, true, false}},
      {"/ready", {"GET", &Service::ready, true, false}},
      {"/metrics", {"GET", &Service::metrics, false, false}},
  };
  return kRoutes;
}

const Service::Route* Service::find_route(const HttpRequest& request) const {
  static const Route kPage{"GET", &Service::page, true, false};
  std::string path = request.path;
  if (path.starts_with("/v1/models/")) path = "/v1/models/";
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const auto [begin, end] = routes().equal_range(path);
  if (begin == end) {
    if (find_web_asset(path) != nullptr && method == "GET") return &kPage;
    throw ApiError(find_web_asset(path) == nullptr ? 404 : 405, "invalid_request_error",
                   fmt::format("there is no {} {} here; see /openapi.json", method, quote(path)),
                   "", "unknown_url");
  }
  for (auto at = begin; at != end; ++at) {
    if (method == at->second.method) return &at->second;
  }
  throw ApiError(405, "invalid_request_error",
                 fmt::format("{} takes {}, not {}", path, begin->second.method, quote(method)), "",
                 "method_not_allowed");
}

bool Service::origin_allowed(const std::string& origin) const {
  const auto& origins = options_.cors_origins;
  return std::find(origins.begin(), origins.end(), "*") != origins.end() ||
         std::find(origins.begin(), origins.end(), origin) != origins.end();
}

void Service::check_origin(const HttpRequest& request) const {
  const std::string* host = request.header("host");
  if (options_.check_host && host != nullptr) {
    const std::string name = lower(host_name(*host));
    const bool known =
        name == "localhost" || name == "127.0.0.1" || name == "[::1]" ||
        std::find(options_.hosts.begin(), options_.hosts.end(), name) != options_.hosts.end();
    if (!known) {
      throw ApiError(421, "invalid_request_error",
                     fmt::format("this server is not called {}; --host names it so", quote(name)));
    }
  }
  // Pages of other origins don't get in: a browser sends their requests before it asks.
  const std::string* origin = request.header("origin");
  if (origin == nullptr || origin_allowed(*origin)) return;
  const std::size_t scheme = origin->find("://");
  const bool same = host != nullptr && scheme != std::string::npos &&
                    lower(origin->substr(scheme + 3)) == lower(*host);
  if (!same) {
    throw ApiError(403, "invalid_request_error",
                   fmt::format("pages of {} may not call this server; --cors-origin lets them",
                               quote(*origin)));
  }
}

std::shared_ptr<ApiKey> Service::key_of(const HttpRequest& request) const {
  std::shared_ptr<const KeyRing> keys;
  {
    const std::lock_guard lock(keys_mutex_);
    keys = keys_;
  }
  if (!keys) return nullptr;
  const std::string shown = bearer(request);
  auto key = shown.empty() ? nullptr : keys->find(shown);
  if (!key) {
    throw plain_error(401, shown.empty() ? "an API key is needed, as \"Authorization: Bearer KEY\""
                                         : "this API key is not known");
  }
  return key;
}

std::optional<HttpResponse> Service::refuse(const HttpRequest& head) {
  try {
    check_origin(head);
    if (head.method == "OPTIONS") {
      HttpResponse response;
      response.status = 204;
      response.content_type = "";
      if (head.header("origin") != nullptr) {
        response.headers = {{"access-control-allow-methods", "GET, POST, OPTIONS"},
                            {"access-control-allow-headers",
                             "authorization, content-type, x-request-id, x-stainless-arch, "
                             "x-stainless-lang, x-stainless-os, x-stainless-package-version, "
                             "x-stainless-retry-count, x-stainless-runtime, "
                             "x-stainless-runtime-version, x-stainless-timeout"},
                            {"access-control-max-age", "600"}};
      }
      return response;
    }
    const Route* route = find_route(head);
    std::shared_ptr<ApiKey> key;
    if (!route->open) key = key_of(head);
    if (route->method == std::string_view("POST")) {
      const std::string* type = head.header("content-type");
      if (type == nullptr || !is_json(*type)) {
        throw ApiError(415, "invalid_request_error",
                       "the body must be JSON, with \"Content-Type: application/json\"");
      }
    }
    if (route->work && draining_) {
      throw ApiError(503, "server_error", "the server is shutting down", "", "shutting_down");
    }
    if (route->work && key) {
      const ApiKey::Admission admission = key->admit(Allowance::Clock::now());
      if (!admission.admitted) {
        const std::int64_t limit = admission.what == "requests" ? key->limits().requests_per_minute
                                                                : key->limits().tokens_per_minute;
        ApiError error(429, admission.what,
                       fmt::format("this key may use {} {} a minute; try again in {:.0f} s", limit,
                                   admission.what, std::ceil(admission.retry_after)),
                       "", "rate_limit_exceeded");
        error.retry_after = std::max(1, static_cast<int>(std::ceil(admission.retry_after)));
        return error_response(error);
      }
    }
    return std::nullopt;
  } catch (const ApiError& error) {
    return error_response(error);
  } catch (const std::exception& error) {
    return error_response(unexpected(error));
  }
}

Reply Service::handle(const HttpRequest& request) {
  try {
    return (this->*find_route(request)->function)(request);
  } catch (const ApiError& error) {
    return error_response(error);
  } catch (const Error& error) {
    if (error.kind() == Error::Kind::kUser) return error_response(plain_error(400, error.what()));
    return error_response(unexpected(error));
  } catch (const std::exception& error) {
    return error_response(unexpected(error));
  }
}

HttpResponse Service::error(int status, const std::string& message) {
  return error_response(plain_error(status, message));
}

void Service::add_rate_limits(const HttpRequest& request, HttpResponse& response) const {
  std::shared_ptr<const KeyRing> keys;
  {
    const std::lock_guard lock(keys_mutex_);
    keys = keys_;
  }
  const auto route = routes().find(request.path);
  if (!keys || route == routes().end() || !route->second.work) return;
  const auto key = keys->find(bearer(request));
  if (!key) return;
  const auto [requests, tokens] = key->remaining(Allowance::Clock::now());
  const auto add = [&](const char* what, std::int64_t limit, std::int64_t left) {
    if (limit == 0) return;
    response.headers.emplace_back(fmt::format("x-ratelimit-limit-{}", what), std::to_string(limit));
    response.headers.emplace_back(fmt::format("x-ratelimit-remaining-{}", what),
                                  std::to_string(left));
  };
  add("requests", key->limits().requests_per_minute, requests);
  add("tokens", key->limits().tokens_per_minute, tokens);
}

void Service::decorate(const HttpRequest& request, HttpResponse& response) {
  add_rate_limits(request, response);
  const std::string* origin = request.header("origin");
  if (origin != nullptr && origin_allowed(*origin)) {
    response.headers.emplace_back("access-control-allow-origin", *origin);
    response.headers.emplace_back("access-control-expose-headers",
                                  "x-request-id, retry-after, x-ratelimit-limit-requests, "
                                  "x-ratelimit-limit-tokens, x-ratelimit-remaining-requests, "
                                  "x-ratelimit-remaining-tokens");
    response.headers.emplace_back("vary", "origin");
  }
}

std::shared_ptr<AnswerSummary> Service::summarize(const HttpRequest& request,
                                                  const std::string& model) {
  auto summary = std::make_shared<AnswerSummary>();
  summary->model = model;
  const std::lock_guard lock(summaries_mutex_);
  summaries_[request.serial] = summary;
  return summary;
}

void Service::finished(const HttpRequest& request, const ExchangeRecord& record) {
  std::string path = "other";
  if (routes().contains(request.path)) {
    path = request.path;
  } else if (request.path.starts_with("/v1/models/")) {
    path = "/v1/models/";
  } else if (find_web_asset(request.path) != nullptr) {
    path = "page";
  }
  requests_.count(path, record.status);
  if (record.client_gone) clients_gone_.fetch_add(1, std::memory_order_relaxed);
  std::shared_ptr<AnswerSummary> summary;
  {
    const std::lock_guard lock(summaries_mutex_);
    const auto at = summaries_.find(request.serial);
    if (at != summaries_.end()) {
      summary = std::move(at->second);
      summaries_.erase(at);
    }
  }
  if (!log_) return;
  OrderedJson line = {
      {"time", utc_time()},       {"request_id", request.id},
      {"client", request.client}, {"method", request.method},
      {"path", request.path},     {"status", record.status},
      {"bytes", record.bytes},    {"seconds", std::round(record.seconds * 1e6) / 1e6}};
  if (record.client_gone) line["client_gone"] = true;
  if (summary) {
    const std::lock_guard lock(summary->mutex);
    line["model"] = summary->model;
    if (!summary->key.empty()) line["key"] = summary->key;
    line["prompt_tokens"] = summary->usage.prompt_tokens;
    line["cached_tokens"] = summary->usage.cached_tokens;
    line["completion_tokens"] = summary->usage.completion_tokens;
    if (summary->first_token_seconds > 0) {
      line["first_token_seconds"] = std::round(summary->first_token_seconds * 1e6) / 1e6;
    }
    if (!summary->finish_reason.empty()) line["finish_reason"] = summary->finish_reason;
    if (!summary->error.empty()) line["error"] = summary->error;
    if (options_.log_prompts) {
      line["prompt"] = summary->prompt;
      line["text"] = summary->text;
    }
  }
  log_->write(line);
}

std::vector<std::string> Service::model_names() const {
  std::vector<std::string> names;
  for (const auto& model : models_) names.push_back(model->name());
  for (const auto& model : embedding_models_) names.push_back(model->name());
  return names;
}

std::shared_ptr<ServingModel> Service::named_model(const std::string& name) const {
  for (const auto& model : models_) {
    if (name == model->name()) return model;
  }
  const std::vector<std::string> names = model_names();
  throw ApiError(
      404, "invalid_request_error",
      fmt::format("the model {} does not exist{}", quote(name), did_you_mean(name, names)), "model",
      "model_not_found");
}

std::shared_ptr<ServingModel> Service::find_model(Fields& fields) const {
  const auto name = fields.text("model");
  if (name) {
    for (const auto& model : embedding_models_) {
      if (*name == model->name()) {
        throw ApiError(400, "invalid_request_error",
                       fmt::format("the model {} makes vectors only", quote(*name)), "model");
      }
    }
    return named_model(*name);
  }
  if (models_.empty()) {
    throw ApiError(404, "invalid_request_error", "no model here generates text", "model",
                   "model_not_found");
  }
  return models_.front();
}

}  // namespace tigerbot::serve
