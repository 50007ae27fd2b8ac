"""Drives the web page in headless Chromium (selenium), against a server with scripted answers.

    python3 tests/web/web_page_test.py                       # all tests
    SCREENSHOTS=DIR python3 tests/web/web_page_test.py       # and pictures to look at

Skipped where there is no chromedriver or no selenium (Debian: chromium-driver, python3-selenium)."""

import os
import pathlib
import re
import shutil
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from page_server import PAGE, Answer, PageServer  # noqa: E402

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    webdriver = None

SCREENSHOTS = os.environ.get("SCREENSHOTS")
EVIL = """<script>window.evil = 1</script>
<img src=x onerror="window.evil = 2">
<svg onload="window.evil = 3"></svg><iframe srcdoc="<script>parent.evil = 4</script>"></iframe>
[link](javascript:window.evil=5) [data](data:text/html,<script>window.evil=6</script>)
![picture](http://192.0.2.1/leak.png)
<a href="javascript:window.evil=7">click</a>
```html"><script>window.evil=8</script>
</code></pre><script>window.evil = 9</script>
```
$\\href{javascript:window.evil=10}{x}$ $\\htmlData{a=b}{y}$ <style>body{display:none}</style>
<form action="http://192.0.2.1/"><input name=a autofocus onfocus="window.evil=11"></form>
"""
RICH = """## Listing files

Use `ls -l`:

```python
def area(radius: float) -> float:
    # in square metres
    return 3.14159 * radius ** 2
```

The area is $A = \\pi r^2$, and

$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$

It costs $5 and $10.

| name | size |
|---|---|
| a.txt | 12 |

- one
- two **bold**
"""


@unittest.skipIf(webdriver is None or not shutil.which("chromedriver"), "needs chromium-driver and python3-selenium")
class WebPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1100,800", "--lang=en"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def setUp(self):
        self.server = PageServer()
        self.addCleanup(self.server.close)
        self.browser.set_window_size(1100, 800)
        self.server.answers = [Answer(["Hello", " there", "."])]
        self.load()
        self.browser.get_log("browser")  # what other tests provoked

    def load(self):
        self.browser.get(self.server.url)
        self.wait(lambda: len(self.all("#model-choice option")) == 2)

    # --- small helpers ---

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def wait(self, condition):
        return WebDriverWait(self.browser, 10, 0.05).until(lambda _: condition())

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def ask(self, text, wait=True):
        count = len(self.all(".message.assistant"))
        field = self.one("#composer-text")
        field.send_keys(text, Keys.ENTER)
        if wait:
            self.wait(lambda: len(self.all(".message.assistant")) > count and self.idle())

    def idle(self):
        return self.one("#send").is_displayed()

    def texts(self):
        # In one script: the page may replace its elements between two calls.
        return self.script("return [...document.querySelectorAll('.message .message-text')].map((e) => e.innerText.trim())")

    def titles(self):
        return self.script("return [...document.querySelectorAll('.conversation')].map((e) => e.innerText.trim())")

    def choose_language(self, name):
        self.one("#open-settings").click()
        self.one(f'#setting-language option[value="{name}"]').click()
        self.one("#settings .dialog-head button").click()
        self.wait(lambda: self.script("return document.documentElement.lang") == name)

    def screenshot(self, name):
        if SCREENSHOTS:
            pathlib.Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(f"{SCREENSHOTS}/{name}.png")

    def no_script_errors(self):
        errors = [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual([], errors)

    # --- tests ---

    def test_an_answer_streams_in_and_shows_its_speed(self):
        self.screenshot("welcome")
        self.ask("Hi")
        self.assertEqual(["Hi", "Hello there."], self.texts())
        self.assertIn("3 tokens", self.one(".speed").text)
        self.assertRegex(self.one(".speed").text, r"first token after \d+\.\d\d s")
        request = self.server.requests[-1]
        self.assertEqual([{"role": "user", "content": "Hi"}], request["messages"])
        self.assertEqual({"include_usage": True}, request["stream_options"])
        self.assertEqual({"model", "messages", "stream", "stream_options", "temperature", "top_p"}, set(request))
        self.assertEqual((0.6, 0.9), (request["temperature"], request["top_p"]))
        self.no_script_errors()

    def test_a_second_question_sends_the_history(self):
        self.ask("Hi")
        self.ask("And?")
        self.assertEqual(
            [("user", "Hi"), ("assistant", "Hello there."), ("user", "And?")],
            [(m["role"], m["content"]) for m in self.server.requests[-1]["messages"]],
        )

    def test_stop_keeps_what_came_and_hangs_up(self):
        self.server.answers = [Answer(["word "] * 400, pause=0.02)]
        self.ask("Go on", wait=False)
        self.wait(lambda: "".join(self.texts()).count("word") > 3)
        self.one("#stop").click()
        self.wait(self.idle)
        self.assertIn("stopped", self.one(".speed").text)
        self.assertTrue(self.server.hung_up.wait(10))

    def test_escape_stops(self):
        self.server.answers = [Answer(["word "] * 400, pause=0.02)]
        self.ask("Go on", wait=False)
        self.wait(lambda: "word" in "".join(self.texts()))
        self.one("#composer-text").send_keys(Keys.ESCAPE)
        self.wait(self.idle)
        self.assertLess(self.texts()[1].count("word"), 400)

    def test_regenerating_and_editing_make_branches(self):
        self.server.answers = [Answer(["one"]), Answer(["two"]), Answer(["three"])]
        self.ask("First")
        self.one(".regenerate").click()
        self.wait(lambda: self.texts() == ["First", "two"] and self.idle())
        self.assertEqual("2/2", self.one(".assistant .branches span").text)
        self.one(".assistant .branches button").click()
        self.wait(lambda: self.texts() == ["First", "one"])
        self.one(".user .edit").click()
        area = self.one(".editor textarea")
        area.send_keys(" changed", Keys.ENTER)
        self.wait(lambda: self.texts() == ["First changed", "three"] and self.idle())
        self.assertEqual([{"role": "user", "content": "First changed"}], self.server.requests[-1]["messages"])
        self.one(".user .branches button").click()
        self.wait(lambda: self.texts() == ["First", "one"])

    def test_conversations_stay_in_the_browser(self):
        self.ask("Remember me")
        self.one("#new-conversation").click()
        self.ask("Another")
        self.load()
        self.wait(lambda: len(self.all(".conversation")) >= 2)
        self.assertEqual(["Another", "Remember me"], self.titles()[:2])
        self.all(".conversation")[1].click()
        self.assertEqual(["Remember me", "Hello there."], self.texts())
        self.script("window.prompt = () => 'Renamed'")
        self.all("#conversation-list li")[1].find_elements(By.CSS_SELECTOR, ".small")[0].click()
        self.wait(lambda: "Renamed" in self.titles())
        self.all("#conversation-list li")[1].find_elements(By.CSS_SELECTOR, ".small")[2].click()
        self.one("#confirm .danger").click()
        self.wait(lambda: "Renamed" not in self.titles())

    def test_nothing_that_a_model_writes_can_run(self):
        self.server.answers = [Answer([EVIL[i : i + 7] for i in range(0, len(EVIL), 7)])]
        self.ask("Attack")
        self.assertIsNone(self.script("return window.evil ?? null"))
        answer = ".message.assistant .message-text"
        for selector in ("script", "iframe", "img", "style", "form", "object", "[onerror]", "[onload]", "input[name]"):
            self.assertEqual([], self.all(f"{answer} {selector}"), selector)
        for link in self.all(f"{answer} a"):
            self.assertRegex(link.get_attribute("href") or "https:", r"^(https?|mailto):")
        self.assertIn("<script>window.evil = 1</script>", self.texts()[1])
        for link in self.all(f"{answer} a"):
            self.script("arguments[0].click()", link)
        self.assertIsNone(self.script("return window.evil ?? null"))

    def test_inline_scripts_are_forbidden_even_past_the_sanitizer(self):
        self.script("document.querySelector('#messages').innerHTML = '<img src=nothing onerror=\"window.evil=1\">'")
        self.script("const s = document.createElement('script'); s.textContent = 'window.evil=2'; document.body.append(s)")
        self.assertIsNone(self.browser.execute_async_script("const done = arguments[0]; setTimeout(() => done(window.evil ?? null), 300)"))

    def test_markdown_code_and_formulas_are_rendered(self):
        self.server.answers = [Answer([RICH[i : i + 11] for i in range(0, len(RICH), 11)])]
        self.ask("Show everything")
        answer = self.one(".message.assistant")
        self.assertTrue(answer.find_elements(By.CSS_SELECTOR, ".hljs-keyword"))
        self.assertEqual(2, len(answer.find_elements(By.CSS_SELECTOR, ".katex-html")))
        self.assertEqual(1, len(answer.find_elements(By.CSS_SELECTOR, ".katex-display")))
        self.assertEqual([], answer.find_elements(By.CSS_SELECTOR, ".katex-error"))
        self.assertIn("It costs $5 and $10.", answer.text)
        self.assertTrue(answer.find_elements(By.CSS_SELECTOR, "table td"))
        self.script("window.copied = null; navigator.clipboard.writeText = async (t) => { window.copied = t; }")
        answer.find_element(By.CSS_SELECTOR, ".code-copy").click()
        self.wait(lambda: self.script("return window.copied"))
        self.assertTrue(self.script("return window.copied").startswith("def area(radius: float)"))
        answer.find_element(By.CSS_SELECTOR, ".copy").click()
        self.wait(lambda: self.script("return window.copied") == RICH)
        self.screenshot("rich")
        self.no_script_errors()

    def test_settings_are_sent_and_kept(self):
        self.one("#open-settings").click()
        self.one("#setting-system").send_keys("Be brief.")
        self.one("#setting-temperature").clear()
        self.one("#setting-temperature").send_keys("0.5")
        self.one("#setting-top-p").clear()
        self.one("#setting-seed").send_keys("7")
        self.one("#setting-max-tokens").send_keys("20")
        self.one("#setting-api-key").send_keys("secret")
        self.screenshot("settings")
        self.one("#settings .dialog-head button").click()
        self.load()
        self.one('#model-choice option[value="second-model"]').click()
        self.ask("Hi")
        request = self.server.requests[-1]
        self.assertEqual({"role": "system", "content": "Be brief."}, request["messages"][0])
        self.assertEqual(("second-model", 0.5, 7, 20), tuple(request[k] for k in ("model", "temperature", "seed", "max_tokens")))
        self.assertNotIn("top_p", request)  # emptied: the server's choice
        self.assertEqual("Bearer secret", self.server.authorizations[-1])
        self.script("localStorage.clear()")

    def test_errors_are_said_in_words(self):
        for status, words in ((401, "API key"), (429, "busy"), (400, "too long")):
            self.server.answers = [Answer(status=status, message="the prompt is too long")]
            self.ask("Hi", wait=False)
            self.wait(lambda: self.one("#notice").is_displayed() and self.idle())
            self.assertIn(words, self.one("#notice-text").text)
            self.one("#close-notice").click()
        self.server.answers = [Answer(["half"], cut=True)]
        self.ask("Hi", wait=False)
        self.wait(lambda: "half" in "".join(self.texts()) and self.one("#notice").is_displayed())
        self.assertIn("broke off", self.one("#notice-text").text)

    def test_every_language_has_every_text(self):
        shown = {}
        for name in ("zh", "ja", "ko", "en"):
            self.choose_language(name)
            labels = self.script(
                "return [...document.querySelectorAll('[data-text],[data-label],[data-placeholder]')].map("
                "(e) => [e.dataset.text ?? e.dataset.label ?? e.dataset.placeholder,"
                " e.dataset.text ? e.textContent : e.dataset.label ? e.getAttribute('aria-label') : e.placeholder])"
            )
            for key, text in labels:
                self.assertTrue(text and text != key and text != "undefined", (name, key))
            shown[name] = self.one(".welcome-title").text
            self.screenshot(f"language-{name}")
        self.assertEqual(4, len(set(shown.values())))
        keys = self.browser.execute_async_script(
            "const done = arguments[0]; import('/languages.js').then(({languages}) =>"
            " done(Object.values(languages).map((l) => Object.keys(l).sort())))"
        )
        for other in keys[1:]:
            self.assertEqual(keys[0], other)

    def test_enter_does_not_send_while_an_input_method_composes(self):
        self.script(
            "const f = document.querySelector('#composer-text'); f.value = '你';"
            "f.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true, cancelable: true}))"
        )
        self.assertEqual([], self.server.requests)

    def test_the_keyboard_alone_reaches_everything(self):
        self.ask("Hi")
        self.script("document.body.focus(); document.activeElement.blur()")
        seen = []
        for _ in range(40):
            self.browser.switch_to.active_element.send_keys(Keys.TAB)
            element = self.browser.switch_to.active_element
            seen.append(element.get_attribute("id") or element.get_attribute("class"))
        for wanted in ("new-conversation", "conversation", "model-choice", "open-settings", "copy", "edit", "regenerate", "composer-text"):
            self.assertIn(wanted, seen)

    def test_names_for_screen_readers(self):
        self.ask("Hi")
        nameless = self.script(
            "return [...document.querySelectorAll('button, input, select, textarea')].filter((e) =>"
            " !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)"
        )
        self.assertEqual([], nameless)
        self.assertEqual("Answer: Hello there.", self.one("#announcer").get_attribute("textContent"))

    def test_colours_can_be_read(self):
        # Contrast of text to its background, WCAG 2.2, level AA: 4.5 at least.
        def luminance(colour):
            channels = [int(c) / 255 for c in re.findall(r"\d+", colour)[:3]]
            linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        def resolve(variable):
            return self.script(
                "const e = document.createElement('i'); document.body.append(e); e.style.color = `var(${arguments[0]})`;"
                "const c = getComputedStyle(e).color; e.remove(); return c", variable)

        for theme in ("light", "dark"):
            self.script("document.documentElement.dataset.theme = arguments[0]", theme)
            for text, ground in (("--text", "--background"), ("--muted", "--background"), ("--muted", "--side"), ("--text", "--question"),
                                 ("--accent-text", "--accent"), ("--accent", "--background"), ("--keyword", "--code"), ("--string", "--code"),
                                 ("--number", "--code"), ("--comment", "--code"), ("--danger", "--surface")):
                light, dark = sorted((luminance(resolve(text)), luminance(resolve(ground))), reverse=True)
                self.assertGreaterEqual((light + 0.05) / (dark + 0.05), 4.5, (theme, text, ground))

    def test_dark_and_narrow(self):
        self.server.answers = [Answer([RICH])]
        self.ask("Show everything")
        self.script("document.documentElement.dataset.theme = 'dark'")
        self.screenshot("dark")
        self.browser.set_window_size(500, 844)
        self.script("document.documentElement.dataset.theme = 'light'")
        self.wait(lambda: not self.one("#sidebar").is_displayed())
        self.assertLessEqual(self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth"), 0)
        self.screenshot("phone")
        self.one("#open-sidebar").click()
        self.wait(lambda: self.one("#sidebar").is_displayed())
        self.screenshot("phone-sidebar")
        self.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.wait(lambda: not self.one("#sidebar").is_displayed())

    def test_every_file_of_the_page_is_packed(self):
        packed = (PAGE.parents[2] / "cmake/WebAssets.cmake").read_text()
        for file in PAGE.iterdir():
            if file.suffix in (".html", ".css", ".js", ".svg"):
                self.assertIn(file.name, packed)


if __name__ == "__main__":
    unittest.main()
