#pragma once

#include <string>
#include <string_view>

namespace tigerbot::data {

/// Undoes UTF-8 that was read as Latin-1 or Windows-1252 ("cafÃ©", "ä½ å¥½", "donâ€™t"), once or
/// several times over, where it is sure: a line is repaired if every character of it that those
/// encodings have past ASCII is part of a well-formed UTF-8 sequence, and it has two such sequences
/// or one of the unmistakable ones (punctuation "â€™", ideographs, "Ã" or "Â" before a sign that no
/// word has inside); in other lines only the unmistakable sequences are. The empty string says that
/// there was nothing to repair.
std::string repair_mojibake(std::string_view text);

}  // namespace tigerbot::data
