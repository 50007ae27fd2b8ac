#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "serve/http/server.h"

namespace tigerbot::serve {

/// What `tigerbot serve` can be told, by flags or in a TOML file.
struct ServeOptions {
  std::vector<std::string> models;    ///< MODEL or NAME=MODEL
  std::vector<std::string> adapters;  ///< MODELNAME:NAME=FOLDER
  std::string device = "cpu", dtype = "auto";
  std::int64_t threads = 0;

  std::string address = "127.0.0.1";
  std::int64_t port = 8080;
  std::string keys;
  bool public_without_keys = false;
  std::vector<std::string> cors_origins;
  std::vector<std::string> hosts;
  std::string tls_certificate, tls_key;
  std::string access_log = "-";
  bool log_prompts = false;

  std::int64_t max_connections = 2048;
  std::int64_t max_header_bytes = 16 * 1024;
  std::int64_t max_body_bytes = 8 * 1024 * 1024;
  std::int64_t max_buffered_bytes = 256 * 1024 * 1024;
  double header_timeout = 10, body_timeout = 60, idle_timeout = 75, write_timeout = 30;
  double drain_timeout = 30;

  std::int64_t cache_tokens = 0;
  std::string kv_cache_dtype = "auto";
  std::int64_t prefill_chunk = 512;
  std::int64_t max_running = 64;
  std::int64_t max_waiting = 1024;
  double queue_timeout = 120;
  bool no_prefix_cache = false;
  std::int64_t prompt_lookup = 0;
  std::string rope_scaling = "none";
  double rope_factor = 8;
  std::int64_t max_new_tokens = 0;
  double temperature = -1, top_p = -1;  ///< below 0: the model's own

  /// An Error that names the option that is out of range.
  void check() const;
  HttpServerOptions http() const;
};

/// One of them, by the name that flags (--max-body-bytes) and TOML (max_body_bytes) share.
struct Setting {
  std::string name;  ///< with dashes
  std::variant<std::string*, std::int64_t*, double*, bool*, std::vector<std::string>*> value;
  std::string help;
};

/// All but the models' own place on the command line.
std::vector<Setting> settings(ServeOptions& options);

/// Takes what a TOML file says, but for the settings named in `given`. An Error for a key that is
/// unknown or of the wrong kind. Paths are relative to the file's folder.
void read_config(ServeOptions& options, const std::filesystem::path& path,
                 const std::vector<std::string>& given);

}  // namespace tigerbot::serve
