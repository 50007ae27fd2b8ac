#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tigerbot {

using Json = nlohmann::json;

struct JsonOptions {
  /// Deeper nesting is an Error: walking a value recursively must not exhaust the stack.
  int max_depth = 256;
  /// A key that stands twice in one object is an Error; false keeps the last.
  bool reject_duplicate_keys = true;
};

/// Parses one JSON document (RFC 8259, UTF-8). `source` names it in messages, which give line and
/// column: `config.json:3:17: ...`.
Json parse_json(std::string_view text, std::string_view source, const JsonOptions& options = {});

/// Reads and parses a JSON file of at most `max_bytes`.
Json read_json_file(const std::filesystem::path& path, const JsonOptions& options = {},
                    std::uint64_t max_bytes = 1ull << 30);

/// What kind of value it is, for messages: "a string", "an object".
std::string_view json_type_name(const Json& value);

/// Strict access to one object of a JSON document or a TOML file. Every error names the source and
/// the path of the key: `recipe.toml: train.learning_rate must be a number, not a string`. A reader
/// knows which keys were asked for; finish() then rejects the others, with the nearest right name.
/// The document must outlive the reader.
///
///   JsonReader config(document, "config.json");
///   const auto layers = config.get<int>("num_hidden_layers");
///   const auto theta = config.get<double>("rope_theta", 10000.0);
///   config.finish();
///
/// Types: bool, int, std::int64_t, std::uint64_t, float, double, std::string, Json, and vectors of
/// these. Integers are checked for range; 3.0 is no integer; an integer serves as a number. A key
/// whose value is null counts as absent.
class JsonReader {
 public:
  /// An Error if `value` is no object. `where` is the path of the object inside the source.
  JsonReader(const Json& value, std::string source, std::string where = "");

  /// The value of a key that must be there.
  template <typename T>
  T get(std::string_view key);

  /// The value of a key that may be missing.
  template <typename T>
  std::optional<T> find(std::string_view key);

  template <typename T>
  T get(std::string_view key, T fallback) {
    auto value = find<T>(key);
    return value ? std::move(*value) : std::move(fallback);
  }
  std::string get(std::string_view key, const char* fallback) {
    return get<std::string>(key, std::string(fallback));
  }

  /// The object under a key that must be there, or may be missing.
  JsonReader object(std::string_view key);
  std::optional<JsonReader> find_object(std::string_view key);

  /// The objects of an array of objects under a key that must be there.
  std::vector<JsonReader> objects(std::string_view key);

  /// True if the key is there and not null. Does not count as asking for it.
  bool has(std::string_view key) const;

  /// Says that a key is known although nothing reads it.
  void ignore(std::string_view key);

  /// An Error if the object has a key that nobody asked for.
  void finish() const;

  /// `source: path.of.key`, as messages begin.
  std::string place(std::string_view key) const;

  const Json& value() const { return *value_; }
  const std::string& source() const { return source_; }

 private:
  const Json* look_up(std::string_view key);
  std::string path_of(std::string_view key) const;

  const Json* value_;
  std::string source_, where_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace tigerbot
