#include "data/readers/entities.h"

#include <array>
#include <charconv>

#include "base/utf8.h"

namespace tigerbot::data {
namespace {

struct Entity {
  std::string_view name;
  char32_t character;
};

constexpr std::array kEntities{
    Entity{"Alpha", 0x391},   Entity{"Beta", 0x392},   Entity{"Delta", 0x394},
    Entity{"Gamma", 0x393},   Entity{"Omega", 0x3A9},  Entity{"Prime", 0x2033},
    Entity{"aacute", 0xE1},   Entity{"agrave", 0xE0},  Entity{"alpha", 0x3B1},
    Entity{"amp", '&'},       Entity{"apos", '\''},    Entity{"auml", 0xE4},
    Entity{"beta", 0x3B2},    Entity{"bull", 0x2022},  Entity{"ccedil", 0xE7},
    Entity{"cent", 0xA2},     Entity{"copy", 0xA9},    Entity{"dagger", 0x2020},
    Entity{"darr", 0x2193},   Entity{"deg", 0xB0},     Entity{"delta", 0x3B4},
    Entity{"divide", 0xF7},   Entity{"eacute", 0xE9},  Entity{"egrave", 0xE8},
    Entity{"ensp", 0x2002},   Entity{"emsp", 0x2003},  Entity{"euro", 0x20AC},
    Entity{"frac12", 0xBD},   Entity{"frac14", 0xBC},  Entity{"gamma", 0x3B3},
    Entity{"ge", 0x2265},     Entity{"gt", '>'},       Entity{"harr", 0x2194},
    Entity{"hellip", 0x2026}, Entity{"iacute", 0xED},  Entity{"infin", 0x221E},
    Entity{"lambda", 0x3BB},  Entity{"laquo", 0xAB},   Entity{"larr", 0x2190},
    Entity{"ldquo", 0x201C},  Entity{"le", 0x2264},    Entity{"lsquo", 0x2018},
    Entity{"lt", '<'},        Entity{"mdash", 0x2014}, Entity{"micro", 0xB5},
    Entity{"middot", 0xB7},   Entity{"minus", 0x2212}, Entity{"mu", 0x3BC},
    Entity{"nbsp", ' '},      Entity{"ndash", 0x2013}, Entity{"ne", 0x2260},
    Entity{"ntilde", 0xF1},   Entity{"oacute", 0xF3},  Entity{"omega", 0x3C9},
    Entity{"ouml", 0xF6},     Entity{"para", 0xB6},    Entity{"pi", 0x3C0},
    Entity{"plusmn", 0xB1},   Entity{"pound", 0xA3},   Entity{"prime", 0x2032},
    Entity{"quot", '"'},      Entity{"raquo", 0xBB},   Entity{"rarr", 0x2192},
    Entity{"rdquo", 0x201D},  Entity{"reg", 0xAE},     Entity{"rsquo", 0x2019},
    Entity{"sect", 0xA7},     Entity{"shy", 0xAD},     Entity{"sigma", 0x3C3},
    Entity{"sup2", 0xB2},     Entity{"sup3", 0xB3},    Entity{"szlig", 0xDF},
    Entity{"theta", 0x3B8},   Entity{"thinsp", ' '},   Entity{"times", 0xD7},
    Entity{"trade", 0x2122},  Entity{"uacute", 0xFA},  Entity{"uarr", 0x2191},
    Entity{"uuml", 0xFC},     Entity{"yen", 0xA5},     Entity{"zwj", 0x200D},
    Entity{"zwnj", 0x200C}};

/// The character that `name` (between & and ;) stands for, or 0.
char32_t character_of(std::string_view name) {
  if (name.starts_with('#')) {
    name.remove_prefix(1);
    const bool hex = name.starts_with('x') || name.starts_with('X');
    if (hex) name.remove_prefix(1);
    std::uint32_t value = 0;
    const auto [end, error] =
        std::from_chars(name.data(), name.data() + name.size(), value, hex ? 16 : 10);
    const bool whole = error == std::errc() && end == name.data() + name.size() && !name.empty();
    return whole ? value : 0;
  }
  for (const auto& entity : kEntities)
    if (entity.name == name) return entity.character;
  return 0;
}

}  // namespace

std::string decode_entities(std::string_view text) {
  constexpr std::size_t kLongestName = 10;
  std::string out;
  out.reserve(text.size());
  while (true) {
    const auto at = text.find('&');
    out += text.substr(0, at);
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at);
    const auto end = text.substr(0, kLongestName + 2).find(';');
    const char32_t character =
        end == std::string_view::npos ? 0 : character_of(text.substr(1, end - 1));
    if (character == 0) {
      out += '&';
      text.remove_prefix(1);
    } else {
      append_utf8(out, character);
      text.remove_prefix(end + 1);
    }
  }
}

}  // namespace tigerbot::data
