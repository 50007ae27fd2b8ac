#include <gtest/gtest.h>

#include "base/files.h"
#include "data/readers/html_markup.h"
#include "data/readers/html_text.h"
#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

std::string text_of(std::string_view html) { return extract_page(html).text; }

std::string filler(int sentences) {
  std::string out;
  for (int k = 0; k < sentences; ++k) out += "A sentence of the article that says something. ";
  return out;
}

TEST(Html, PagesOfTheWildReadAsTheyShould) {
  const std::filesystem::path pages =
      std::filesystem::path(TIGERBOT_SOURCE_DIR) / "tests/data/readers/pages";
  for (const char* name : {"news", "postgresql", "libreoffice-ko", "apache-ja"}) {
    const auto read = read_documents(pages / (std::string(name) + ".html"));
    ASSERT_EQ(read.documents.size(), 1u) << name;
    EXPECT_EQ(read.documents[0].text + "\n", read_file(pages / (std::string(name) + ".md")))
        << name;
  }
}

TEST(Html, MetadataSaysWhatThePageSaysOfItself) {
  const auto read = read_documents(std::filesystem::path(TIGERBOT_SOURCE_DIR) /
                                   "tests/data/readers/pages/news.html");
  ASSERT_EQ(read.documents.size(), 1u);
  EXPECT_EQ(read.documents[0].metadata,
            Json::parse(R"({"title": "Rivers run higher this spring - The Daily Example",
                            "url": "https://news.example/rivers", "lang": "en",
                            "date": "2026-04-02T08:00:00Z"})"));
}

TEST(Html, LineEndsBetweenChineseCharactersAreNoSpaces) {
  EXPECT_EQ(text_of("<p>第一行\n第二行 English\nwords，</p>"), "第一行第二行 English words，");
}

TEST(Html, MenusThatNothingNamesAreTakenOut) {
  const auto text = text_of(
      "<body><div><ul><li><a href=1>One</a></li><li><a href=2>Two</a></li>"
      "<li><a href=3>Three</a></li></ul></div><div><h1>Title</h1><p>" +
      filler(5) + "</p></div></body>");
  EXPECT_EQ(text.find("Two"), std::string::npos);
  EXPECT_TRUE(text.starts_with("# Title\n\nA sentence")) << text;
}

TEST(Html, BodiesNamedAfterTheirSideBarStay) {
  EXPECT_NE(text_of("<body class='sidebar'><div class='nav-content'><p>" + filler(9) +
                    "</p></div></body>")
                .find("A sentence"),
            std::string::npos);
}

TEST(Html, LayoutTablesAreReadCellByCell) {
  const auto text = text_of("<table><tr><td><h2>Left</h2><p>" + filler(3) + "</p></td><td><p>" +
                            filler(3) + "</p></td></tr></table>");
  EXPECT_TRUE(text.starts_with("## Left\n\nA sentence")) << text;
  EXPECT_EQ(text.find('|'), std::string::npos);
}

TEST(Html, HeadingsThatNothingFollowsAreNoEnd) {
  EXPECT_EQ(text_of("<h1>A</h1><p>text</p><h2>B</h2><h3>C</h3>"), "# A\n\ntext");
  EXPECT_EQ(text_of("<h1>Alone</h1>"), "# Alone");
}

TEST(Html, MarkupIsCleanedBeforeItIsParsed) {
  EXPECT_EQ(clean_markup("<p onclick='x > y' CLASS=a>1 < 2<!-- <b> --> <b>x</b><script>'</p>'"
                         "</script ><br/></P>"),
            "<p class=\"a\">1 &lt; 2 x <br></p>");
  EXPECT_EQ(clean_markup("<style>p{}"), " ");
  EXPECT_EQ(clean_markup("a<!-- open"), "a open");
  EXPECT_EQ(clean_markup("<"), "&lt;");
}

TEST(Html, DeepNestingIsFlattened) {
  std::string html = "<p>begin</p>";
  for (int k = 0; k < 200000; ++k) html += "<div>";
  html += "<p>deep</p>";
  for (int k = 0; k < 200000; ++k) html += "</div>";
  html += "<p>end</p>";
  const auto text = text_of(html);
  for (const char* word : {"begin", "deep", "end"})
    EXPECT_NE(text.find(word), std::string::npos) << text;
}

// Each of these takes a parser whose work grows with the square of its input minutes.
TEST(Html, HostilePagesTakeNoLongerThanOthers) {
  for (const char* piece : {"<b a=1>x", "<!--", "<!x", "<noscript>", "<a <", "<p><font size=2>",
                            "<table><td>", "</b></i>", "<ruby><rt>", "<optgroup>", "<li><ul>",
                            "<x y='", "<svg><desc>", "<form><button>"}) {
    std::string html = "<p>start</p>";
    while (html.size() < (2u << 20)) html += piece;
    EXPECT_NE(text_of(html).find("start"), std::string::npos) << piece;
  }
  std::string attributes = "<p>start</p><div ";
  for (int k = 0; k < 300000; ++k) attributes += "a" + std::to_string(k) + "=1 ";
  EXPECT_EQ(text_of(attributes + ">end"), "start\n\nend");
}

TEST(Html, EncodingsComeFromTheMetaTagOrFromTheBytes) {
  // 日本語の文章です。これはテストです。
  const std::string sentence =
      "\x93\xfa\x96\x7b\x8c\xea\x82\xcc\x95\xb6\x8f\xcd\x82\xc5\x82\xb7\x81\x42\x82\xb1\x82\xea\x82"
      "\xcd\x83\x65\x83\x58\x83\x67\x82\xc5\x82\xb7\x81\x42";
  for (const char* head :
       {"<meta charset=\"shift_jis\">", "",
        "<meta http-equiv=content-type content='text/html; charset=iso-8859-1'>"}) {
    const auto read =
        read_bytes("a.html", "<html><head>" + std::string(head) + "</head><p>" + sentence + "</p>");
    ASSERT_EQ(read.texts(), Texts{"日本語の文章です。これはテストです。"}) << head;
    EXPECT_EQ(read.documents[0].edits, Texts{"reader.encoding"});
    EXPECT_EQ(read.documents[0].metadata["encoding"], "Shift_JIS");
  }
}

TEST(Html, BinaryFilesCalledHtmlAreBadInput) {
  const auto read = read_bytes("a.html", std::string("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16));
  EXPECT_TRUE(read.documents.empty());
  ASSERT_EQ(read.bad.size(), 1u);
  EXPECT_EQ(read.bad[0].what, "is binary, not HTML");
}

}  // namespace
}  // namespace tigerbot::data
