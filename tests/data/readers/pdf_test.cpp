#include <gtest/gtest.h>

#include "data/readers/pdf_reader.h"
#include "data/readers/reading.h"

namespace tigerbot::data {
namespace {

using namespace testing;
using Texts = std::vector<std::string>;

/// A PDF of pages of one text each, made by hand.
std::string make_pdf(const Texts& pages) {
  std::string out = "%PDF-1.4\n";
  std::vector<std::size_t> offsets;
  const auto object = [&](const std::string& body) {
    offsets.push_back(out.size());
    out += std::to_string(offsets.size()) + " 0 obj\n" + body + "\nendobj\n";
  };
  std::string kids;
  for (std::size_t k = 0; k < pages.size(); ++k) kids += std::to_string(4 + 2 * k) + " 0 R ";
  object("<< /Type /Catalog /Pages 2 0 R >>");
  object("<< /Type /Pages /Kids [" + kids + "] /Count " + std::to_string(pages.size()) + " >>");
  object("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
  for (std::size_t k = 0; k < pages.size(); ++k) {
    object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents " +
           std::to_string(5 + 2 * k) + " 0 R /Resources << /Font << /F1 3 0 R >> >> >>");
    const std::string content = "BT /F1 12 Tf 72 720 Td (" + pages[k] + ") Tj ET";
    object("<< /Length " + std::to_string(content.size()) + " >>\nstream\n" + content +
           "\nendstream");
  }
  const std::size_t table = out.size();
  out += "xref\n0 " + std::to_string(offsets.size() + 1) + "\n0000000000 65535 f \n";
  for (const auto offset : offsets) {
    const std::string digits = std::to_string(offset);
    out += std::string(10 - digits.size(), '0') + digits + " 00000 n \n";
  }
  out += "trailer\n<< /Size " + std::to_string(offsets.size() + 1) +
         " /Root 1 0 R >>\nstartxref\n" + std::to_string(table) + "\n%%EOF\n";
  return out;
}

TEST(Pdf, PagesBecomeOneText) {
  const auto pdf = make_pdf({"Text of the first page.", "And of the second."});
  for (const auto& bytes : {pdf, gzip(pdf)}) {
    const auto read = read_bytes("a.pdf", bytes);
    ASSERT_EQ(read.texts(), Texts{"Text of the first page.\n\nAnd of the second."});
    EXPECT_EQ(read.documents[0].metadata["pages"], 2);
    EXPECT_TRUE(read.bad.empty());
  }
}

TEST(Pdf, DamagedAndLongOnesAreBadInput) {
  const auto damaged = read_bytes("a.pdf", "%PDF-1.4 and nothing more");
  EXPECT_TRUE(damaged.documents.empty());
  ASSERT_EQ(damaged.bad.size(), 1u);
  EXPECT_EQ(damaged.bad[0].what, "is no PDF, or a damaged one");
  const auto longer =
      read_bytes("b.pdf", make_pdf(Texts(9, "Twenty letters a page")), {.max_document_bytes = 100});
  EXPECT_TRUE(longer.documents.empty());
  ASSERT_EQ(longer.bad.size(), 1u);
  EXPECT_EQ(longer.bad[0].what, "has more than 100 bytes of text");
}

TEST(Pdf, LinesBecomeParagraphsAndCutWordsOne) {
  EXPECT_EQ(
      pages_to_text("The quick brown fox jumps over the la-\nzy dog and runs on to the end of\n"
                    "the line.\n\nNext one.\n"),
      "The quick brown fox jumps over the lazy dog and runs on to the end of the line.\n\n"
      "Next one.");
}

TEST(Pdf, RunningHeadsPageNumbersAndContentsGo) {
  std::string pages;
  for (int k = 1; k <= 4; ++k)
    pages += "A Manual, chapter 1\nSentence number " +
             std::string(static_cast<std::size_t>(k), 'x') + " of the text here.\n" +
             std::to_string(k) + "\n\f";
  for (int k = 0; k < 6; ++k) pages += "Chapter . . . . . . . . 7\n";
  EXPECT_EQ(pages_to_text(pages),
            "Sentence number x of the text here.\n\nSentence number xx of the text here.\n\n"
            "Sentence number xxx of the text here.\n\nSentence number xxxx of the text here.");
}

TEST(Pdf, SentencesGoOnAcrossPages) {
  EXPECT_EQ(pages_to_text("This sentence has not come to its\n\n\fend yet, but now it has."),
            "This sentence has not come to its end yet, but now it has.");
}

}  // namespace
}  // namespace tigerbot::data
