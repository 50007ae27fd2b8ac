#pragma once

#include <deque>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tigerbot::constraint {

using Schema = nlohmann::ordered_json;

/// A JSON schema as a text: what its references mean, and where each part stands.
class SchemaDocument {
 public:
  /// An Error for text that is no JSON, or nested deeper than kMaxDepth.
  explicit SchemaDocument(std::string_view text);
  SchemaDocument(const SchemaDocument&) = delete;

  const Schema& root() const { return root_; }
  /// The schema that a "$ref" of `from` names; an Error if it is not inside this document.
  const Schema& resolve(const std::string& reference, const Schema& from) const;
  /// A schema that does not stand in the text; `from` is what it was made of.
  const Schema& add(Schema schema, const Schema& from);
  /// For messages: "schema: #/properties/name".
  std::string where(const Schema& part) const;
  [[noreturn]] void refuse(const Schema& part, const std::string& what) const;

  static constexpr int kMaxDepth = 200;

 private:
  void index(const Schema& part, const std::string& base, int depth);
  std::string path(const Schema& part) const;

  Schema root_;
  std::deque<Schema> added_;
  std::unordered_map<const Schema*, const Schema*> origins_;  // of added schemas
  std::unordered_map<std::string, const Schema*> named_;      // "$id", "$anchor" and "base#anchor"
  std::unordered_map<const Schema*, std::string> bases_;      // schemas with references: their URI
};

}  // namespace tigerbot::constraint
