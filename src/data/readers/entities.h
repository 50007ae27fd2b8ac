#pragma once

#include <string>
#include <string_view>

namespace tigerbot::data {

/// Character references of XML and the usual ones of HTML (&lt; &#8211; &ndash;) as characters;
/// what is none stays as it is.
std::string decode_entities(std::string_view text);

}  // namespace tigerbot::data
