#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "base/scratch_folder.h"
#include "serve/http/server.h"
#include "serve/http_client.h"
#include "serve/model_folder.h"
#include "serve/service.h"

namespace tigerbot::serve {

/// A server with a small random model, "tiny", on a port of its own.
class ServedModel {
 public:
  struct Options {
    ServiceOptions service;
    EngineOptions engine;
    HttpServerOptions http;
    std::shared_ptr<const KeyRing> keys;
    std::string access_log;
  };

  ServedModel() : ServedModel(Options()) {}
  explicit ServedModel(Options options) {
    write_random_model(folder_ / "tiny");
    ServingModelOptions serving;
    serving.engine = options.engine;
    serving.engine.cache_tokens = std::max<std::int64_t>(options.engine.cache_tokens, 1024);
    model_ = std::make_shared<ServingModel>(ModelEntry{"tiny", folder_ / "tiny"}, serving);
    service_ = std::make_unique<Service>(
        options.service,
        options.access_log.empty() ? nullptr : std::make_unique<AccessLog>(options.access_log));
    service_->add(model_);
    service_->set_keys(options.keys);
    options.http.port = 0;
    server_ = std::make_unique<HttpServer>(options.http, *service_);
    thread_ = std::thread([this] { server_->run(); });
  }
  ~ServedModel() {
    server_->stop();
    thread_.join();
  }

  std::uint16_t port() const { return server_->port(); }
  Service& service() { return *service_; }
  ServingModel& model() { return *model_; }

  ClientAnswer chat(nlohmann::json body) {
    if (!body.contains("messages")) {
      body["messages"] = {{{"role", "user"}, {"content", "Hello"}}};
    }
    return post(port(), "/v1/chat/completions", body);
  }

  /// A value of /metrics, by the beginning of its line.
  double metric(const std::string& name) {
    const std::string text = request(port(), "GET", "/metrics").body;
    const std::size_t at = text.find("\n" + name);
    if (at == std::string::npos) return -1;
    const std::size_t space = text.find(' ', at);
    return std::stod(text.substr(space));
  }

  /// Waits until nothing runs any more; the statistics are those of the last step.
  void wait_until_idle() {
    model_->engine().run([](Engine&) {});
    while (model_->engine().statistics().running + model_->engine().statistics().waiting > 0) {
      std::this_thread::yield();
    }
  }

 private:
  testing::ScratchFolder folder_;
  std::shared_ptr<ServingModel> model_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

}  // namespace tigerbot::serve
