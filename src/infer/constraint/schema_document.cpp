#include "infer/constraint/schema_document.h"

#include <charconv>
#include <optional>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace tigerbot::constraint {

namespace {

/// %41 is A; a pointer in a URI is written so.
std::string unescape_uri(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    unsigned value = 0;
    if (text[at] == '%' && at + 2 < text.size()) {
      const char* const first = text.data() + at + 1;
      if (std::from_chars(first, first + 2, value, 16).ptr == first + 2) {
        plain += static_cast<char>(value);
        at += 2;
        continue;
      }
    }
    plain += text[at];
  }
  return plain;
}

std::string unescape_pointer(std::string_view token) {
  std::string plain;
  for (std::size_t at = 0; at < token.size(); ++at) {
    if (token[at] == '~' && at + 1 < token.size() &&
        (token[at + 1] == '0' || token[at + 1] == '1')) {
      plain += token[++at] == '0' ? '~' : '/';
    } else {
      plain += token[at];
    }
  }
  return plain;
}

const Schema* follow(const Schema& root, std::string_view pointer) {
  const Schema* part = &root;
  while (!pointer.empty()) {
    if (pointer[0] != '/') return nullptr;
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    const std::string token = unescape_pointer(pointer.substr(0, end));
    pointer.remove_prefix(end);
    if (part->is_object()) {
      const auto found = part->find(token);
      if (found == part->end()) return nullptr;
      part = &*found;
    } else if (part->is_array()) {
      std::size_t index = 0;
      const auto [last, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      if (error != std::errc() || last != token.data() + token.size() || index >= part->size()) {
        return nullptr;
      }
      part = &(*part)[index];
    } else {
      return nullptr;
    }
  }
  return part;
}

/// A reference against the URI around it. Only what schemas use: absolute, a path, a name.
std::string join_uri(const std::string& base, const std::string& reference) {
  if (reference.empty() || base.empty() || reference.find("://") != std::string::npos ||
      reference.starts_with("urn:")) {
    return reference;
  }
  const auto authority = base.find("://");
  if (reference[0] == '/') {
    if (authority == std::string::npos) return reference;
    return base.substr(0, base.find('/', authority + 3)) + reference;
  }
  const auto slash = base.rfind('/');
  return slash == std::string::npos ? reference : base.substr(0, slash + 1) + reference;
}

std::optional<std::string> path_to(const Schema& from, const Schema& part) {
  if (&from == &part) return "";
  if (!from.is_structured()) return std::nullopt;
  std::size_t index = 0;
  for (auto item = from.begin(); item != from.end(); ++item, ++index) {
    if (const auto rest = path_to(*item, part)) {
      return "/" + (from.is_object() ? item.key() : std::to_string(index)) + *rest;
    }
  }
  return std::nullopt;
}

}  // namespace

SchemaDocument::SchemaDocument(std::string_view text) {
  // The strict reader says where a mistake is; the second one keeps the order of the keys.
  parse_json(text, "schema", {.max_depth = kMaxDepth, .reject_duplicate_keys = true});
  root_ = Schema::parse(text);
  index(root_, "", 0);
}

void SchemaDocument::index(const Schema& part, const std::string& base, int depth) {
  std::string own = base;
  if (part.is_object()) {
    for (const char* key : {"$id", "id"}) {
      const auto id = part.find(key);
      if (id == part.end() || !id->is_string()) continue;
      std::string name = join_uri(base, id->get<std::string>());
      if (name.ends_with('#')) name.pop_back();
      if (name.starts_with('#')) {
        named_.emplace(std::string(base).append(name), &part);
      } else if (!name.empty()) {
        own = name;
        named_.emplace(own, &part);
      }
    }
    for (const char* key : {"$anchor", "$dynamicAnchor"}) {
      const auto anchor = part.find(key);
      if (anchor != part.end() && anchor->is_string()) {
        named_.emplace(own + "#" + anchor->get<std::string>(), &part);
      }
    }
    if (part.contains("$ref")) bases_.emplace(&part, own);
  }
  if (part.is_structured()) {
    for (const Schema& item : part) index(item, own, depth + 1);
  }
}

const Schema& SchemaDocument::resolve(const std::string& reference, const Schema& from) const {
  const auto hash = std::min(reference.find('#'), reference.size());
  const auto found_base = bases_.find(&from);
  const std::string base = found_base == bases_.end() ? "" : found_base->second;
  const std::string file = reference.substr(0, hash);
  const std::string target = file.empty() ? base : join_uri(base, file);
  const std::string fragment =
      hash < reference.size() ? unescape_uri(reference.substr(hash + 1)) : "";
  const Schema* document = &root_;
  if (!target.empty()) {
    const auto found = named_.find(target);
    if (found != named_.end()) {
      document = found->second;
    } else if (!file.empty()) {
      refuse(from, fmt::format("\"$ref\": {} is outside this document; put what it names under "
                               "\"$defs\"",
                               quote(reference, 80)));
    }
  }
  const Schema* result = nullptr;
  if (fragment.empty() || fragment[0] == '/') {
    result = follow(*document, fragment);
    if (result == nullptr) result = follow(root_, fragment);
  } else {
    const std::string anchor = "#" + fragment;
    for (const std::string& name : {target + anchor, anchor}) {
      const auto found = named_.find(name);
      if (result == nullptr && found != named_.end()) result = found->second;
    }
  }
  if (result == nullptr) {
    refuse(from, fmt::format("\"$ref\": {} leads to nothing", quote(reference, 80)));
  }
  return *result;
}

const Schema& SchemaDocument::add(Schema schema, const Schema& from) {
  added_.push_back(std::move(schema));
  origins_.emplace(&added_.back(), &from);
  return added_.back();
}

std::string SchemaDocument::path(const Schema& part) const {
  if (const auto found = path_to(root_, part)) return "#" + *found;
  for (const Schema& schema : added_) {
    if (path_to(schema, part)) return path(*origins_.at(&schema));
  }
  return "#";
}

std::string SchemaDocument::where(const Schema& part) const { return "schema: " + path(part); }

void SchemaDocument::refuse(const Schema& part, const std::string& what) const {
  fail("{}: {}", where(part), what);
}

}  // namespace tigerbot::constraint
