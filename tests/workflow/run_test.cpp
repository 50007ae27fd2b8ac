#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "base/files.h"
#include "base/json.h"
#include "base/toml.h"
#include "workflow/recipe.h"

/// The driver as a user runs it: the program itself, over stages that are small scripts.
namespace tigerbot::workflow {
namespace {

namespace fs = std::filesystem;

class Run : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "tigerbot-run-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    // Copies its input, upper case, and counts how often it ran.
    write(
        "shout.py",
        "import sys, pathlib\n"
        "out = pathlib.Path(sys.argv[2]); out.mkdir()\n"
        "(out / 'text').write_text(pathlib.Path(sys.argv[1]).read_text().upper())\n"
        "with open(pathlib.Path(__file__).parent / 'runs', 'a') as log: log.write(sys.argv[3])\n");
    write("word.txt", "tiger");
    write("recipe.toml", recipe("!"));
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string recipe(const std::string& mark) const {
    return "output = \"out\"\n"
           "[variables]\nmark = \"" +
           mark +
           "\"\n"
           "[[stage]]\nname = \"first\"\n"
           "script = [\"shout.py\", \"{here}/word.txt\", \"{out}\", \"1\"]\n"
           "[[stage]]\nname = \"second\"\n"
           "script = [\"shout.py\", \"{first}/text\", \"{out}\", \"2\", "
           "\"{mark}\"]\n"
           "[[stage]]\nname = \"third\"\n"
           "script = [\"shout.py\", \"{second}/text\", \"{out}\", \"3\"]\n";
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    return fs::exists(folder_ / name) ? read_file(folder_ / name) : "";
  }
  /// Which stages have run since the last call.
  std::string runs() const {
    const std::string text = read("runs");
    fs::remove(folder_ / "runs");
    return text;
  }
  pid_t start(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {TIGERBOT_PROGRAM, "run", folder_ / "recipe.toml"});
    const pid_t child = fork();
    if (child == 0) {
      const std::string err = folder_ / "err", out = folder_ / "out.txt";
      if (freopen(err.c_str(), "w", stderr) == nullptr) _exit(126);
      if (freopen(out.c_str(), "w", stdout) == nullptr) _exit(126);
      std::vector<char*> argv;
      for (auto& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    return child;
  }
  static int wait(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  int run(const std::vector<std::string>& arguments = {}) const { return wait(start(arguments)); }
  std::string error() const { return read("err"); }

  fs::path folder_;
};

TEST_F(Run, StagesRunInOrderAndOnceOnly) {
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "123");
  EXPECT_EQ(read("out/third/result/text"), "TIGER");
  EXPECT_TRUE(fs::exists(folder_ / "out/report.html"));
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "");
}

TEST_F(Run, AChangedInputRunsWhatDependsOnIt) {
  ASSERT_EQ(run(), 0) << error();
  runs();
  write("word.txt", "lion");
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "123");
  EXPECT_EQ(read("out/third/result/text"), "LION");
}

TEST_F(Run, AStageWhoseInputsComeOutAsBeforeIsNotRunAgain) {
  ASSERT_EQ(run(), 0) << error();
  runs();
  write("word.txt", "Tiger");  // in upper case the same
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "1");
  write("recipe.toml", recipe("?"));  // the second says the same with another mark
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "2");
}

TEST_F(Run, ANoteIsSaidInTheReportAndRunsNothingAgain) {
  ASSERT_EQ(run(), 0) << error();
  runs();
  write("recipe.toml", recipe("!") + "note = \"read <this>\"\n");
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "");
  const std::string page = read("out/report.html");
  const std::size_t section = page.find("<section id=\"third\">");
  ASSERT_NE(section, std::string::npos);
  EXPECT_NE(page.find("<p>read &lt;this&gt;</p>", section), std::string::npos);
}

TEST_F(Run, AVariableOfTheCommandLineIsASetting) {
  ASSERT_EQ(run(), 0) << error();
  runs();
  ASSERT_EQ(run({"--set", "mark=?"}), 0) << error();
  EXPECT_EQ(runs(), "2");
  EXPECT_EQ(run({"--set", "marc=?"}), 2);
  EXPECT_NE(error().find("did you mean \"mark\"?"), std::string::npos) << error();
}

TEST_F(Run, FromAndOnlyChooseStages) {
  ASSERT_EQ(run(), 0) << error();
  runs();
  ASSERT_EQ(run({"--from", "second"}), 0) << error();
  EXPECT_EQ(runs(), "23");
  ASSERT_EQ(run({"--only", "first"}), 0) << error();
  EXPECT_EQ(runs(), "1");
  EXPECT_EQ(run({"--from", "secnd"}), 2);
  EXPECT_NE(error().find("did you mean \"second\"?"), std::string::npos) << error();
}

TEST_F(Run, ResultsThatWereChangedOrRemovedAreMadeAgain) {
  ASSERT_EQ(run(), 0) << error();
  runs();
  write("out/second/result/text", "cat");
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "2");
  fs::remove_all(folder_ / "out/first");
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "1");
}

TEST_F(Run, ADryRunSaysWhyAndWritesNothing) {
  ASSERT_EQ(run({"--dry-run", "--json"}), 0) << error();
  EXPECT_EQ(runs(), "");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  Json plan = parse_json(read("out.txt"), "plan");
  EXPECT_EQ(plan["stages"][0]["reason"], "not made yet");
  EXPECT_EQ(plan["stages"][1]["reason"], "it needs first, which runs");
  ASSERT_EQ(run(), 0) << error();
  write("word.txt", "lion");
  ASSERT_EQ(run({"--dry-run", "--json"}), 0) << error();
  plan = parse_json(read("out.txt"), "plan");
  EXPECT_EQ(plan["stages"][0]["reason"], (folder_ / "word.txt").string() + " changed");
}

TEST_F(Run, AStageThatFailsLeavesNoResultAndItsLastLineIsTheError) {
  write("shout.py",
        "import sys, pathlib\n"
        "pathlib.Path(sys.argv[2]).mkdir()\n"
        "sys.exit('tigerbot: no more words')\n");
  EXPECT_EQ(run(), 1);
  EXPECT_NE(error().find("tigerbot: stage \"first\" failed with status 1: no more words\n"),
            std::string::npos)
      << error();
  EXPECT_FALSE(fs::exists(folder_ / "out/first"));
}

TEST_F(Run, LimitsAreChecked) {
  write("recipe.toml", "[limits]\nmemory = \"1 MiB\"\n" + recipe("!"));
  // A table must not stand before a key of the whole.
  EXPECT_EQ(run(), 2);
  write("recipe.toml", recipe("!") + "[limits]\nmemory = \"1 MiB\"\n");
  EXPECT_EQ(run(), 2);
  EXPECT_NE(error().find("of memory, and limits.memory is 1.0 MiB"), std::string::npos) << error();
  write("recipe.toml", recipe("!") + "[limits]\ndisk = \"4000 TiB\"\n");
  EXPECT_EQ(run(), 2);
  EXPECT_NE(error().find("limits.disk is 3.9 PiB"), std::string::npos) << error();
}

/// Waits at a file's pleasure, so that a test can stop it in the middle.
constexpr const char* kWaits =
    "import sys, pathlib, time\n"
    "out = pathlib.Path(sys.argv[2]); out.mkdir(exist_ok=True)\n"
    "here = pathlib.Path(sys.argv[0]).parent\n"
    "(here / 'waiting').write_text('')\n"
    "while not (here / 'go').exists(): time.sleep(0.01)\n"
    "(out / 'text').write_text(pathlib.Path(sys.argv[1]).read_text().upper())\n"
    "with open(pathlib.Path(__file__).parent / 'runs', 'a') as log: log.write(sys.argv[3])\n";

TEST_F(Run, GoesOnAfterBeingStoppedOrKilled) {
  write("shout.py", kWaits);
  for (const int signal : {SIGTERM, SIGINT, SIGKILL}) {
    fs::remove(folder_ / "waiting");
    const pid_t child = start({});
    while (!fs::exists(folder_ / "waiting")) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ::kill(child, signal);
    EXPECT_EQ(wait(child), signal == SIGKILL ? 128 + SIGKILL : 1);
    if (signal == SIGTERM) {
      EXPECT_NE(error().find("stopped by SIGTERM in stage \"first\"; the same command goes on"),
                std::string::npos)
          << error();
    }
    EXPECT_FALSE(fs::exists(folder_ / "out/first"));
  }
  write("go", "");
  ASSERT_EQ(run(), 0) << error();
  EXPECT_EQ(runs(), "123");
  EXPECT_EQ(read_json_file(folder_ / "out/first/stage.json")["cost"]["attempts"], 4);
}

TEST_F(Run, TwoAtOnceInOneFolderAreRefused) {
  write("shout.py", kWaits);
  const pid_t child = start({});
  while (!fs::exists(folder_ / "waiting")) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(run(), 2);
  EXPECT_NE(error().find("another run is at work there"), std::string::npos) << error();
  write("go", "");
  EXPECT_EQ(wait(child), 0);
}

std::string complaint(const fs::path& folder, const std::string& stages) {
  const fs::path path = folder / "bad.toml";
  std::ofstream(path) << "output = \"out\"\n" << stages;
  try {
    read_recipe(path, {});
  } catch (const std::exception& error) {
    return std::string(error.what()).substr(path.string().size());
  }
  return "";
}

TEST_F(Run, MistakesInARecipeAreNamed) {
  EXPECT_EQ(complaint(folder_, "[[stage]]\nname = \"a\"\ncomand = [\"x\"]\n"),
            ": stage[0].command: give one of \"command\" (of tigerbot), \"script\" and \"server\" "
            "(Python)");
  EXPECT_EQ(complaint(folder_,
                      "[[stage]]\nname = \"data\"\ncommand = [\"x\"]\n"
                      "[[stage]]\nname = \"b\"\ncommand = [\"x\", \"{dat}/y\"]\n"),
            ": stage[1].name: {dat} is no variable and no stage before \"b\"; did you mean "
            "\"data\"?; {{dat}} is the text itself");
  EXPECT_EQ(
      complaint(folder_, "[[stage]]\nname = \"a\"\ncommand = [\"x\"]\ndiscard = [\"../b\"]\n"),
      ": stage[0].discard: \"../b\" is no path inside the stage's results");
  EXPECT_EQ(complaint(folder_, "[variables]\na = \"{b}\"\nb = \"{a}\"\n"),
            ": variables name each other in a circle");
}

TEST(FormatToml, GivesBackWhatParseTomlRead) {
  const Json table = parse_toml(
      "a = 1\nb = 0.5\nc = \"line\\n\\\"quoted\\\" 中\"\nd = [1, 2]\n[e]\nf = true\n[[g]]\nh = "
      "\"x\"\n"
      "[[g]]\nh = \"y\"\n[g.i]\nj = []\n",
      "table");
  EXPECT_EQ(parse_toml(format_toml(table), "again"), table);
}

}  // namespace
}  // namespace tigerbot::workflow
