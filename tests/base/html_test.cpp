#include "base/html.h"

#include <gtest/gtest.h>

namespace tigerbot {
namespace {

TEST(Html, MarksAreEscapedInTextAndInAttributes) {
  EXPECT_EQ(escape_html("<a href=\"x\" title='y'>R&D</a>"),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;R&amp;D&lt;/a&gt;");
  EXPECT_EQ(escape_html("中文 \xF0\x9F\x90\xAF"), "中文 \xF0\x9F\x90\xAF");
}

TEST(Html, ControlCharactersBecomeABox) {
  EXPECT_EQ(escape_html(std::string_view("a\0b\x1B\n\t", 6)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\n\t");
}

}  // namespace
}  // namespace tigerbot
