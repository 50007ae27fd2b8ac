#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

/// Pieces of the report's page.
namespace tigerbot::workflow::html {

std::string escape(std::string_view text);

/// Any JSON value as nested tables. Long lists and deep values fold.
std::string table_of(const Json& value);

/// A whole page inside the page, kept apart from it; as tall as it needs.
std::string embedded_page(const std::string& page);

/// A heading that folds what is under it.
std::string folded(const std::string& heading, const std::string& body, bool open = false);

/// Text as it stands.
std::string text_block(std::string_view text);

/// The report's style and its few lines of script, as the inside of <head>.
std::string head(const std::string& title);

}  // namespace tigerbot::workflow::html
