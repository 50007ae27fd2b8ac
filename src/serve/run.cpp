#include "serve/run.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/logging.h"
#include "base/text.h"
#include "infer/key_value_cache.h"
#include "ops/device.h"
#include "serve/service.h"
#include "weights/hub/models.h"
#include "weights/model_files.h"

namespace tigerbot::serve {

namespace {

using Clock = std::chrono::steady_clock;

std::uint64_t available_memory() {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MemAvailable:")) return std::stoull(line.substr(13)) * 1024;
  }
  return std::uint64_t{1} << 30;
}

/// What a model is called if nobody says: the last part of its path or name.
std::string default_name(const std::string& model) {
  std::string name = model;
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  name = name.substr(name.rfind('/') + 1);
  if (name.ends_with(".gguf")) name.resize(name.size() - 5);
  return name;
}

std::vector<ModelEntry> model_entries(const ServeOptions& options) {
  std::vector<ModelEntry> entries;
  for (const std::string& text : options.models) {
    ModelEntry entry;
    const std::size_t equals = text.find('=');
    const std::string path = equals == std::string::npos ? text : text.substr(equals + 1);
    entry.name = equals == std::string::npos ? default_name(text) : text.substr(0, equals);
    if (entry.name.empty() || entry.name.find(':') != std::string::npos) {
      fail("MODEL {}: a model's name has no colon and is not empty", quote(text));
    }
    for (const ModelEntry& other : entries) {
      if (other.name == entry.name) {
        fail("MODEL {}: there is a model named {} already; give it another as NAME=MODEL",
             quote(text), quote(entry.name));
      }
    }
    entry.path = resolve_model(path);
    entries.push_back(std::move(entry));
  }
  for (const std::string& text : options.adapters) {
    const std::size_t equals = text.find('=');
    const std::size_t colon = text.rfind(':', equals);
    if (equals == std::string::npos || colon == std::string::npos || colon == 0 ||
        colon + 1 >= equals || equals + 1 == text.size()) {
      fail("--adapter {} must be MODELNAME:NAME=FOLDER", quote(text));
    }
    const std::string model = text.substr(0, colon);
    const std::string name = text.substr(colon + 1, equals - colon - 1);
    const auto base = std::find_if(entries.begin(), entries.end(), [&](const ModelEntry& one) {
      return one.name == model && one.parent.empty();
    });
    if (base == entries.end()) {
      fail("--adapter {}: no model is named {}", quote(text), quote(model));
    }
    ModelEntry entry{model + ":" + name, base->path, text.substr(equals + 1), model};
    for (const ModelEntry& other : entries) {
      if (other.name == entry.name) fail("--adapter {}: the name is there already", quote(text));
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// As many tokens as are useful, within a quarter of the memory that is free.
std::int64_t default_cache_tokens(const ModelConfig& config, const ServeOptions& options) {
  std::int64_t context = std::max<std::int64_t>(context_length(config), 4096);
  if (parse_rope_scaling(options.rope_scaling) != RopeScaling::Kind::kNone) {
    context = static_cast<std::int64_t>(static_cast<double>(context) * options.rope_factor);
  }
  const std::int64_t useful =
      std::max<std::int64_t>(context, std::min<std::int64_t>(context, 2048) * options.max_running);
  const auto bytes = KeyValueCache::bytes_per_token(
      config, parse_kv_cache_dtype(options.kv_cache_dtype).value_or(at::kBFloat16));
  const auto room =
      static_cast<std::int64_t>(available_memory() / 4) / std::max<std::int64_t>(bytes, 1);
  return std::max<std::int64_t>(std::min(useful, room), 1024);
}

void load_models(Service& service, const ServeOptions& options) {
  const at::Device device = parse_device(options.device);
  const auto dtype = parse_dtype(options.dtype);
  for (const ModelEntry& entry : model_entries(options)) {
    const ModelConfig config = open_model(entry.path).config;
    if (config.family == ModelConfig::Family::kBert) {
      if (!entry.adapter.empty()) fail("--adapter: {} is an encoder and takes none", entry.parent);
      service.add(std::make_shared<EmbeddingModel>(entry.name, entry.path, dtype, device,
                                                   static_cast<std::size_t>(options.max_waiting)));
      continue;
    }
    ServingModelOptions serving;
    serving.dtype = dtype;
    serving.device = device;
    serving.max_new_tokens = options.max_new_tokens;
    if (options.temperature >= 0) serving.temperature = options.temperature;
    if (options.top_p >= 0) serving.top_p = options.top_p;
    EngineOptions& engine = serving.engine;
    engine.cache_tokens =
        options.cache_tokens > 0 ? options.cache_tokens : default_cache_tokens(config, options);
    engine.cache_dtype = parse_kv_cache_dtype(options.kv_cache_dtype);
    engine.prefill_chunk = options.prefill_chunk;
    engine.max_sequences = options.max_running;
    engine.max_waiting = options.max_waiting;
    engine.max_wait =
        std::chrono::milliseconds(static_cast<std::int64_t>(options.queue_timeout * 1000));
    engine.prefix_cache = !options.no_prefix_cache;
    engine.prompt_lookup = options.prompt_lookup;
    engine.rope_scaling = parse_rope_scaling(options.rope_scaling);
    engine.rope_factor = options.rope_factor;
    service.add(std::make_shared<ServingModel>(entry, serving));
  }
}

std::shared_ptr<const KeyRing> read_keys(const std::string& path) {
  return path.empty() ? nullptr : std::make_shared<const KeyRing>(KeyRing::read(path));
}

/// Lets what runs end, on a thread of its own: the server's must go on meanwhile.
class Drain {
 public:
  ~Drain() {
    if (thread_.joinable()) thread_.join();
  }

  void begin(Service& service, HttpServer& server, double seconds) {
    if (thread_.joinable()) {
      // Asked twice: now.
      for (const auto& model : service.models()) {
        model->engine().run_later([](Engine& engine) { engine.cancel_all(); });
      }
      server.after(std::chrono::seconds(1), [&server] { server.stop(); });
      return;
    }
    service.set_draining();
    server.drain([&server] { server.stop(); });
    const auto limit = std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    // Clients that don't take their answer's end are not waited for.
    server.after(limit + std::chrono::seconds(5), [&server] { server.stop(); });
    thread_ = std::thread([&service, limit, begin = Clock::now()] {
      for (const auto& model : service.models()) {
        const auto left =
            limit - std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
        model->engine().drain(std::max(left, std::chrono::milliseconds(0)));
      }
    });
  }

 private:
  std::thread thread_;
};

}  // namespace

void run_server(const ServeOptions& options) {
  const auto begin = Clock::now();
  options.check();
  std::signal(SIGPIPE, SIG_IGN);
  if (options.threads > 0) at::set_num_threads(static_cast<int>(options.threads));
  const std::shared_ptr<const KeyRing> keys = read_keys(options.keys);

  ServiceOptions service_options;
  service_options.cors_origins = options.cors_origins;
  service_options.hosts = options.hosts;
  service_options.check_host = is_loopback(options.address) && !keys;
  service_options.log_prompts = options.log_prompts;
  auto log =
      options.access_log == "none" ? nullptr : std::make_unique<AccessLog>(options.access_log);
  Service service(service_options, std::move(log));
  service.set_keys(keys);
  // The port first: one that is taken is known at once.
  HttpServer server(options.http(), service);
  load_models(service, options);
  service.set_server(
      [&server] { return std::pair(server.connections(), server.buffered_bytes()); });

  for (const auto& model : service.models()) model->warm_up();

  Drain drain;
  auto current = keys;
  server.on_signals({SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (signal != SIGHUP) {
      if (signal == SIGINT) std::fputc('\n', stderr);
      drain.begin(service, server, options.drain_timeout);
      return;
    }
    if (options.keys.empty()) return;
    try {
      auto fresh = std::make_shared<KeyRing>(KeyRing::read(options.keys));
      fresh->take_over(*current);
      current = fresh;
      service.set_keys(current);
    } catch (const Error& error) {
      log_error("{}; the keys stay as they were", error.what());
    }
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::fprintf(
      stderr, "%s\n",
      fmt::format("tigerbot: serving {} at {}://{}:{} after {:.2f} s",
                  fmt::join(options.models, ", "),
                  options.tls_certificate.empty() ? "http" : "https",
                  options.address.find(':') == std::string::npos ? options.address
                                                                 : "[" + options.address + "]",
                  server.port(), seconds)
          .c_str());
  server.run();
}

}  // namespace tigerbot::serve
