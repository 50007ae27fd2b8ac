#!/usr/bin/env python3
"""The web page of a real `tigerbot serve` in headless Chromium: a conversation with a model, looked at
on a desktop and a phone, light and dark, in four languages.

    tests/web/real_server.py build/tigerbot --model smollm2-135m-instruct --pictures DIR

Checks what it can (answers stream, stop, are made again and kept; no script error; nothing sticks
out) and leaves pictures for what needs eyes. Needs chromium-driver and python3-selenium.
"""

import argparse
import pathlib
import sys

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "serve"))
from started_server import Server  # noqa: E402

QUESTIONS = ["Write a Python function that reverses a string.", "Explain what a tokenizer does, in three sentences."]


def check(holds, what):
    if not holds:
        sys.exit(f"does not hold: {what}")


class Page:
    def __init__(self, url, pictures):
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,860",
                         "--force-device-scale-factor=1", "--hide-scrollbars", "--lang=en"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.pictures = pictures
        self.browser.get(url)
        self.wait(lambda: self.one("#model-choice option"))

    def one(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def wait(self, condition, seconds=600):
        return WebDriverWait(self.browser, seconds, 0.1).until(lambda _: condition())

    def idle(self):
        return self.one("#send").is_displayed()

    def answers(self):
        return self.script("return [...document.querySelectorAll('.assistant .message-text')].map((e) => e.innerText.trim())")

    def ask(self, text):
        count = len(self.answers())
        self.one("#composer-text").send_keys(text, Keys.ENTER)
        self.wait(lambda: len(self.answers()) > count and self.idle())

    def size(self, width, height):
        # Chromium's window is never narrower than 500 points; a device's screen is.
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def picture(self, name):
        wide = self.script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        check(wide <= 0, f"{name}: nothing sticks out to the side ({wide} points)")
        self.browser.save_screenshot(str(self.pictures / f"{name}.png"))

    def settings(self, **values):
        self.one("#open-settings").click()
        for name, value in values.items():
            self.script("document.querySelector(arguments[0]).value = arguments[1]", "#setting-" + name.replace("_", "-"), value)
        self.one("#settings .dialog-head button").click()
        self.wait(lambda: not self.one("#settings").is_displayed())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tigerbot")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--pictures", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    with Server(arguments.tigerbot, [arguments.model]) as server:
        page = Page(server.url, arguments.pictures)
        try:
            drive(page, arguments.model.split("/")[-1])
        finally:
            page.browser.quit()
        check(server.metrics()["tigerbot_answers_running"] == 0, "nothing runs on")
        check(server.stop() == 0, "SIGTERM ends it with status 0")
    print("all holds; pictures in", arguments.pictures)


def drive(page, model):
    check(page.one("#model-choice").get_attribute("value") == model, "the model is chosen")
    page.size(1200, 860)
    page.picture("welcome")
    page.settings(temperature="0", max_tokens="160")
    for question in QUESTIONS:
        page.ask(question)
        check(len(page.answers()[-1]) > 20, "an answer comes")
    speed = page.script("return [...document.querySelectorAll('.speed')].at(-1).innerText")
    check("tokens" in speed and "first token after" in speed, f"its speed is said: {speed}")
    page.picture("desktop-light")
    page.settings(theme="dark")
    page.picture("desktop-dark")
    first = page.answers()
    page.script("[...document.querySelectorAll('.regenerate')].at(-1).click()")
    page.wait(lambda: page.script("return document.querySelector('.assistant:last-child .branches span')?.innerText") == "2/2" and page.idle())
    check(page.answers() == first, f"a greedy answer made again is the same: {first} {page.answers()}")

    page.settings(max_tokens="4000")
    page.one("#composer-text").send_keys("Tell me a very long story about a tiger.", Keys.ENTER)
    page.wait(lambda: len(page.answers()) == 3 and len(page.answers()[-1]) > 20)
    page.picture("writing-dark")
    page.one("#stop").click()
    page.wait(page.idle)
    check("stopped" in page.script("return [...document.querySelectorAll('.speed')].at(-1).innerText"), "stop")

    page.size(390, 844)
    page.picture("phone-dark")
    page.settings(theme="light")
    page.picture("phone-light")
    page.one("#open-sidebar").click()
    page.wait(lambda: page.one("#sidebar").rect["x"] == 0)
    page.picture("phone-conversations")
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.wait(lambda: not page.one("#sidebar").is_displayed())
    page.one("#open-settings").click()
    page.picture("phone-settings")
    page.one("#settings .dialog-head button").click()
    for language in ("zh", "ja", "ko"):
        page.settings(language=language)
        page.wait(lambda: page.script("return document.documentElement.lang") == language)
        page.size(390, 844)
        page.picture(f"phone-{language}")
        page.size(1200, 860)
        page.picture(f"desktop-{language}")
    page.settings(language="zh", max_tokens="60")
    page.script("document.querySelector('#new-conversation').click()")
    page.picture("welcome-zh")
    page.ask("用中文介绍一下老虎。")
    page.picture("conversation-zh")
    page.one("#open-settings").click()
    page.picture("settings-zh")
    page.one("#settings .dialog-head button").click()
    page.browser.refresh()
    page.wait(lambda: page.script("return document.querySelectorAll('.conversation').length") == 2)
    errors = [entry["message"] for entry in page.browser.get_log("browser") if entry["level"] == "SEVERE"]
    check(not errors, f"no script error: {errors}")


main()
