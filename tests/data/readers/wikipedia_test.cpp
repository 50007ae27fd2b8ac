#include <gtest/gtest.h>

#include "data/readers/entities.h"
#include "data/readers/reading.h"
#include "data/readers/wikitext.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

std::string page(const std::string& title, const std::string& ns, const std::string& text,
                 const std::string& more = "") {
  return "<page>\n<title>" + title + "</title>\n<ns>" + ns + "</ns>\n<id>12</id>\n" + more +
         "<revision><id>99</id><timestamp>2023-01-02T03:04:05Z</timestamp>"
         "<text bytes=\"9\" xml:space=\"preserve\">" +
         text + "</text></revision>\n</page>\n";
}

const std::string kHead =
    "<mediawiki xmlns=\"http://www.mediawiki.org/xml/export-0.10/\"><siteinfo>"
    "<base>https://ko.wikipedia.org/wiki/Main</base></siteinfo>\n";

TEST(Wikipedia, ArticlesComeOutAndNothingElse) {
  const auto dump = kHead + page("Talk:A", "1", "talk") +
                    page("Some article", "0", "Text &amp;amp; more.") +
                    page("R", "0", "#REDIRECT [[A]]", "<redirect title=\"A\" />") + "</mediawiki>";
  for (const auto& bytes : {dump, bzip2(dump)}) {
    const auto read = read_bytes("kowiki-pages-articles.xml", bytes);
    ASSERT_EQ(read.texts(), Texts{"Text & more."});
    EXPECT_EQ(read.documents[0].metadata,
              Json::parse(R"({"title": "Some article", "id": 12, "date": "2023-01-02T03:04:05Z",
                              "url": "https://ko.wikipedia.org/wiki/Some_article"})"));
    EXPECT_TRUE(read.bad.empty());
  }
}

TEST(Wikipedia, LongAndCutOffPagesAreBadInput) {
  const auto dump = kHead + page("Long", "0", std::string(3 << 20, 'x')) + page("A", "0", "good") +
                    "<page><title>Cut</title>";
  const auto read = read_bytes("a.xml", dump, {.format = "wikipedia", .max_document_bytes = 10000});
  EXPECT_EQ(read.texts(), Texts{"good"});
  ASSERT_EQ(read.bad.size(), 2u);
  EXPECT_EQ(read.bad[1].what, "the last page is cut off");
}

TEST(Wikipedia, NulsAreTakenOut) {
  const auto read = read_bytes("a.xml", kHead + page("A", "0", std::string("a\0b\0c", 5)),
                               {.format = "wikipedia"});
  ASSERT_EQ(read.texts(), Texts{"abc"});
  EXPECT_EQ(read.documents[0].edits, Texts{"reader.nul"});
}

TEST(Wikitext, TemplatesReferencesAndFilesAreGone) {
  EXPECT_EQ(wikitext_to_text(
                "{{Infobox|a={{b|c}}\n|d=[[e]]}}\n'''Tokyo''' ({{lang-ja|東京}}, {{IPA|x}}) "
                "is<ref name=\"x\">{{cite|y}}</ref> a [[city|big city]] in [[Japan]].<ref name=x/>"
                "\n[[File:a.jpg|thumb|A [[link]] in {{small|a}} caption]]\n[[Category:Cities]]"
                "<!-- hidden -->[[fr:Tokyo]]"),
            "Tokyo (東京, ) is a big city in Japan.");
}

TEST(Wikitext, EmptyBracketsGo) {
  EXPECT_EQ(wikitext_to_text("Tokyo ({{IPA|x}}, {{audio|y}}) is（{{x}}、）"), "Tokyo is");
}

TEST(Wikitext, HeadingsListsAndTablesStay) {
  EXPECT_EQ(wikitext_to_text("== A ==\ntext\n* one\n** two\n# first\n# second\n"
                             "{| class=\"wikitable\"\n! x !! y\n|-\n| style=\"a\" | 1 || 2\n|}\n"),
            "## A\n\ntext\n\n- one\n  - two\n1. first\n2. second\n\n"
            "| x | y |\n| --- | --- |\n| 1 | 2 |");
}

TEST(Wikitext, SectionsOfSourcesAndEmptySectionsGo) {
  EXPECT_EQ(wikitext_to_text("intro\n== Empty ==\n{{x}}\n=== Too ===\n== Full ==\ntext\n"
                             "== 参考文献 ==\n* a\n=== sub ===\nb\n== Last ==\nmore\n== External "
                             "links ==\n* [http://x y]"),
            "intro\n\n## Full\n\ntext\n\n## Last\n\nmore");
}

TEST(Wikitext, CodeAndFormulasStayAsTheyAre) {
  EXPECT_EQ(wikitext_to_text("Let <math>a_{[[1]]}</math> be <nowiki>[[raw]]</nowiki>.\n"
                             "<syntaxhighlight lang=c>\nif (a) { ''b'' }\n</syntaxhighlight>"),
            "Let $a_{[[1]]}$ be [[raw]].\n\n```\nif (a) { ''b'' }\n```");
}

TEST(Wikitext, ChineseVariantsAreOne) {
  EXPECT_EQ(wikitext_to_text("-{zh-hant:軟體;zh-hans:软件;}-和-{原文}-。-{T|zh:a;zh-tw:b}-"),
            "软件和原文。");
}

TEST(Wikitext, ExternalLinksLeaveTheirText) {
  EXPECT_EQ(wikitext_to_text("See [https://x.y the site] and [http://z]. [not a link]"),
            "See the site and . [not a link]");
}

TEST(Wikitext, HostileTextTakesNoLongerThanOther) {
  for (const char* piece : {"{{", "[[", "{{lang|x|", "<ref>", "<!--", "''", "{|\n", "-{",
                            "[http://", "((", "== a ==\n", "*", "\x02", "&#x41;", "}}]]", "<a"}) {
    std::string text = "start ";
    while (text.size() < (1u << 20)) text += piece;
    EXPECT_FALSE(wikitext_to_text(text).empty()) << piece;
  }
}

TEST(Entities, NamesAndNumbersAreDecoded) {
  EXPECT_EQ(
      decode_entities("&lt;a&gt; &amp;amp; &#65;&#x4e2d; &nbsp;&unknown; & &#1114112; &#xD800;"),
      "<a> &amp; A中  &unknown; & \xEF\xBF\xBD \xEF\xBF\xBD");
}

}  // namespace
}  // namespace tigerbot::data
