#include "workflow/placeholders.h"

namespace tigerbot::workflow {
namespace {

bool is_name(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
    if (!fits) return false;
  }
  return true;
}

/// Where the next placeholder is: [begin, end) with its braces.
struct Found {
  std::size_t begin = std::string_view::npos, end = 0;
  bool escaped = false;
};

Found find_next(std::string_view text, std::size_t from) {
  for (std::size_t at = text.find('{', from); at != std::string_view::npos;
       at = text.find('{', at + 1)) {
    const bool twice = at + 1 < text.size() && text[at + 1] == '{';
    const std::size_t name = at + (twice ? 2 : 1);
    const std::size_t close = text.find('}', name);
    if (close == std::string_view::npos) break;
    if (!is_name(text.substr(name, close - name))) continue;
    if (!twice) return {at, close + 1, false};
    if (close + 1 < text.size() && text[close + 1] == '}') return {at, close + 2, true};
  }
  return {};
}

template <typename Change>
Json change_strings(const Json& value, const Change& change) {
  if (value.is_string()) return change(value.get_ref<const std::string&>());
  Json changed = value;
  if (value.is_array()) {
    for (Json& entry : changed) entry = change_strings(entry, change);
  } else if (value.is_object()) {
    for (auto& [key, entry] : changed.items()) entry = change_strings(entry, change);
  }
  return changed;
}

}  // namespace

std::string fill_in_text(std::string_view text, const LookUp& look_up) {
  std::string out;
  std::size_t at = 0;
  for (Found found = find_next(text, 0); found.begin != std::string_view::npos;
       found = find_next(text, at)) {
    out += text.substr(at, found.begin - at);
    at = found.end;
    const std::string_view whole = text.substr(found.begin, found.end - found.begin);
    std::optional<Json> value;
    if (!found.escaped) value = look_up(std::string(whole.substr(1, whole.size() - 2)));
    if (!value) {
      out += whole;
    } else {
      out += value->is_string() ? value->get<std::string>() : value->dump();
    }
  }
  out += text.substr(at);
  return out;
}

Json fill_in(const Json& value, const LookUp& look_up) {
  return change_strings(value, [&](const std::string& text) -> Json {
    const Found found = find_next(text, 0);
    if (found.begin == 0 && found.end == text.size() && !found.escaped) {
      if (auto whole = look_up(text.substr(1, text.size() - 2))) return *whole;
      return text;
    }
    return fill_in_text(text, look_up);
  });
}

Json without_escapes(const Json& value) {
  return change_strings(value, [](const std::string& text) -> Json {
    std::string out;
    std::size_t at = 0;
    for (Found found = find_next(text, 0); found.begin != std::string::npos;
         found = find_next(text, at)) {
      const std::size_t cut = found.escaped ? 1 : 0;
      out += text.substr(at, found.begin - at);
      out += text.substr(found.begin + cut, found.end - found.begin - 2 * cut);
      at = found.end;
    }
    return out + text.substr(at);
  });
}

std::vector<Reference> references(const Json& value) {
  std::vector<Reference> list;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    for (Found found = find_next(text, 0); found.begin != std::string::npos;
         found = find_next(text, found.end)) {
      if (found.escaped) continue;
      list.push_back(
          {text.substr(found.begin + 1, found.end - found.begin - 2), text.substr(found.end)});
    }
  } else if (value.is_structured()) {
    for (const Json& entry : value) {
      for (Reference& reference : references(entry)) list.push_back(std::move(reference));
    }
  }
  return list;
}

}  // namespace tigerbot::workflow
