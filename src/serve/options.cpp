#include "serve/options.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/json.h"
#include "base/toml.h"
#include "infer/engine.h"

namespace tigerbot::serve {

namespace {

std::string toml_name(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

/// In a file, a relative path means one beside the file.
bool is_path(const std::string& name) {
  return name == "keys" || name == "tls-certificate" || name == "tls-key" || name == "access-log";
}

std::string beside(const std::filesystem::path& file, const std::string& path) {
  if (path.empty() || path == "-" || path == "none") return path;
  const std::filesystem::path relative(path);
  return relative.is_absolute() ? path : (file.parent_path() / relative).string();
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

}  // namespace

void ServeOptions::check() const {
  const auto integer = [](const char* name, std::int64_t value, std::int64_t least,
                          std::int64_t most) {
    if (value < least || value > most) fail("--{} must be from {} to {}", name, least, most);
  };
  constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();
  integer("threads", threads, 0, 1024);
  integer("port", port, 0, 65535);
  integer("max-connections", max_connections, 1, 1'000'000);
  integer("max-header-bytes", max_header_bytes, 1024, 1 << 20);
  integer("max-body-bytes", max_body_bytes, 1024, 1 << 30);
  integer("max-buffered-bytes", max_buffered_bytes, max_body_bytes, std::int64_t{1} << 40);
  integer("cache-tokens", cache_tokens, 0, kMany);
  integer("prefill-chunk", prefill_chunk, 1, 1 << 20);
  integer("max-running", max_running, 1, 4096);
  integer("max-waiting", max_waiting, 0, kMany);
  integer("prompt-lookup", prompt_lookup, 0, 64);
  integer("max-new-tokens", max_new_tokens, 0, kMany);
  for (const auto& [name, value] :
       {std::pair("header-timeout", header_timeout), std::pair("body-timeout", body_timeout),
        std::pair("idle-timeout", idle_timeout), std::pair("write-timeout", write_timeout)}) {
    if (!(value >= 0.1 && value <= 86400)) fail("--{} must be from 0.1 to 86400 seconds", name);
  }
  if (!(drain_timeout >= 0 && drain_timeout <= 86400)) {
    fail("--drain-timeout must be from 0 to 86400 seconds");
  }
  if (!(queue_timeout >= 0 && queue_timeout <= 86400)) {
    fail("--queue-timeout must be from 0 (no limit) to 86400 seconds");
  }
  parse_kv_cache_dtype(kv_cache_dtype);
  parse_rope_scaling(rope_scaling);
  if (!(rope_factor >= 1 && rope_factor <= 1024)) fail("--rope-factor must be from 1 to 1024");
  if (temperature != -1 && !(temperature >= 0 && temperature <= 2)) {
    fail("--temperature must be from 0 to 2");
  }
  if (top_p != -1 && !(top_p > 0 && top_p <= 1)) {
    fail("--top-p must be above 0 and at most 1");
  }
  if (models.empty()) fail("serve needs a MODEL");
  if (!is_loopback(address) && keys.empty() && !public_without_keys) {
    fail(
        "--address {} can be reached from other machines: give --keys FILE, or "
        "--public-without-keys if anyone may use it",
        address);
  }
}

HttpServerOptions ServeOptions::http() const {
  HttpServerOptions http;
  http.address = address;
  http.port = static_cast<std::uint16_t>(port);
  http.max_connections = static_cast<std::size_t>(max_connections);
  http.limits.max_header_bytes = static_cast<std::size_t>(max_header_bytes);
  http.limits.max_body_bytes = static_cast<std::size_t>(max_body_bytes);
  http.max_buffered_bytes = static_cast<std::size_t>(max_buffered_bytes);
  http.header_timeout = milliseconds(header_timeout);
  http.body_timeout = milliseconds(body_timeout);
  http.idle_timeout = milliseconds(idle_timeout);
  http.write_timeout = milliseconds(write_timeout);
  http.tls_certificate = tls_certificate;
  http.tls_key = tls_key;
  return http;
}

std::vector<Setting> settings(ServeOptions& o) {
  return {
      {"adapter", &o.adapters,
       "MODELNAME:NAME=FOLDER, a LoRA adapter (PEFT) served as model MODELNAME:NAME; many times"},
      {"device", &o.device, "cpu, cuda or cuda:N"},
      {"dtype", &o.dtype, "Type of the weights: bfloat16, float32, or auto (the model's own)"},
      {"threads", &o.threads, "Processor threads (0: one a core)"},
      {"address", &o.address, "Where to listen; not the machine's own only with --keys"},
      {"port", &o.port, "0: any free one"},
      {"keys", &o.keys, "A file of API keys; every request then needs one"},
      {"public-without-keys", &o.public_without_keys, "Let anyone who reaches the address use it"},
      {"cors-origin", &o.cors_origins,
       "An origin whose pages may call the API (https://example.org, or *); many times"},
      {"host", &o.hosts, "A further name that requests may be addressed to; many times"},
      {"tls-certificate", &o.tls_certificate, "PEM; with --tls-key: HTTPS"},
      {"tls-key", &o.tls_key, "PEM"},
      {"access-log", &o.access_log, "A file; - is stderr, none is off"},
      {"log-prompts", &o.log_prompts, "Write prompts and answers into the access log, too"},
      {"max-connections", &o.max_connections, "Clients at a time; one more gets 503"},
      {"max-header-bytes", &o.max_header_bytes, "Of one request (431)"},
      {"max-body-bytes", &o.max_body_bytes, "Of one request (413)"},
      {"max-buffered-bytes", &o.max_buffered_bytes, "Of all requests together (503)"},
      {"header-timeout", &o.header_timeout, "Seconds for a request's head to come (408)"},
      {"body-timeout", &o.body_timeout, "Seconds for its body (408)"},
      {"idle-timeout", &o.idle_timeout, "Seconds that a connection may wait between requests"},
      {"write-timeout", &o.write_timeout, "Seconds for a client to take 64 KiB of its answer"},
      {"drain-timeout", &o.drain_timeout, "Seconds for running answers to end after SIGTERM"},
      {"cache-tokens", &o.cache_tokens, "Tokens that the key/value cache holds (0: by memory)"},
      {"kv-cache-dtype", &o.kv_cache_dtype,
       "How it keeps them: auto (the model's type), or int8 (8 bits, about half the memory)"},
      {"prefill-chunk", &o.prefill_chunk, "Prompt tokens of a step"},
      {"max-running", &o.max_running, "Answers that are made together"},
      {"max-waiting", &o.max_waiting, "Answers that may wait (503)"},
      {"queue-timeout", &o.queue_timeout, "Seconds that an answer may wait (503; 0: no limit)"},
      {"no-prefix-cache", &o.no_prefix_cache, "Compute every prompt anew"},
      {"prompt-lookup", &o.prompt_lookup, "Tokens that a lone answer guesses from its prompt"},
      {"rope-scaling", &o.rope_scaling,
       "Beyond the trained length: none, linear, dynamic (NTK) or yarn, by each request's length"},
      {"rope-factor", &o.rope_factor, "With --rope-scaling, the context in trained lengths"},
      {"max-new-tokens", &o.max_new_tokens, "Longest answer (0: what the context holds)"},
      {"temperature", &o.temperature, "Where a request says none (-1: the model's own, else 1)"},
      {"top-p", &o.top_p, "Where a request says none (-1: the model's own, else 1)"},
  };
}

void read_config(ServeOptions& options, const std::filesystem::path& path,
                 const std::vector<std::string>& given) {
  const Json document = read_toml_file(path);
  JsonReader reader(document, path.string());
  const auto is_given = [&](const std::string& name) {
    return std::find(given.begin(), given.end(), name) != given.end();
  };
  for (Setting& setting : settings(options)) {
    const std::string key = toml_name(setting.name);
    std::visit(
        [&](auto* value) {
          using T = std::remove_pointer_t<decltype(value)>;
          std::optional<T> found = reader.find<T>(key);
          if (!found || is_given(setting.name)) return;
          if constexpr (std::is_same_v<T, std::string>) {
            if (is_path(setting.name)) *found = beside(path, *found);
          }
          *value = std::move(*found);
        },
        setting.value);
  }
  const auto models = reader.find<std::vector<std::string>>("models");
  if (models && !is_given("models")) options.models = *models;
  reader.finish();
}

}  // namespace tigerbot::serve
