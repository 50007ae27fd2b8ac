#!/usr/bin/env python3
"""recipes/fetch_text.py reads each file in its own charset and files it under its own language."""

import importlib.util
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "fetch_text.py"
SPEC = importlib.util.spec_from_file_location("fetch_text", SCRIPT)
fetch_text = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fetch_text)

KOREAN = ("아파치 웹서버는 여러 가지 방법으로 실행할 수 있다. 이 문서는 서버가 사용하는 주소와 포트를 "
          "설정하는 방법을 설명하고, 가상호스트를 사용할 때 주의할 점도 다룬다.")
JAPANESE = ("このモジュールは、認証されたユーザにウェブサイトの一部へのアクセスを許可するための機能を提供します。"
            "設定を変更したときは、サーバを再起動する必要があります。")
SIMPLIFIED = "这个模块允许管理员设置服务器的选项。如果文件不存在，程序会返回错误，用户可以在配置文件中改变它的默认值。"
TRADITIONAL = "這個模組允許管理員設定伺服器的選項。如果檔案不存在，程式會傳回錯誤，使用者可以在設定檔中改變它的預設值。"
ENGLISH = "The café serves the résumé of this chapter to all who want it, and that is the end of it. " * 2


def page(text, charset=None):
    meta = f'<meta http-equiv="Content-Type" content="text/html; charset={charset}">' if charset else ""
    return f"<html><head>{meta}</head><body><p>{text}</p></body></html>"


class Charset(unittest.TestCase):
    def language_and_text(self, path, data):
        language, paragraphs = fetch_text.text_of(path, data)
        return language, "".join(paragraphs)

    def test_euc_kr_that_is_also_valid_gb18030_is_read_as_declared(self):
        data = page(KOREAN, "EUC-KR").encode("euc-kr")
        self.assertGreater(len(data.decode("gb18030")), 0)  # what made it Chinese
        self.assertEqual(self.language_and_text("/manual/ko/bind.html", data), ("ko", KOREAN))

    def test_an_xml_declaration_names_the_charset(self):
        data = b'<?xml version="1.0" encoding="Big5"?>' + page(TRADITIONAL).encode("big5")
        self.assertEqual(self.language_and_text("/doc/a.html", data), ("zh-Hant", TRADITIONAL))

    def test_the_name_of_a_file_or_folder_names_the_charset(self):
        for path, text, charset, language in (
                ("/manual/bind.html.ko.euc-kr", page(KOREAN), "euc-kr", "ko"),
                ("/manual/bind.html.ja.shift_jis", page(JAPANESE), "cp932", "ja"),
                ("/manual/bind.html.zh-cn.gb2312", page(SIMPLIFIED), "gb2312", "zh"),
                ("/usr/share/man/ja.eucJP/man1/a.1", JAPANESE, "euc-jp", "ja"),
                ("/usr/share/man/zh_TW.Big5/man1/a.1", TRADITIONAL, "big5", "zh-Hant")):
            with self.subTest(path=path):
                self.assertEqual(fetch_text.text_of(path, text.encode(charset))[0], language)
                self.assertIn(text, fetch_text.decode(path, text.encode(charset)))

    def test_utf8_wins_over_a_wrong_declaration(self):
        data = page(KOREAN, "EUC-KR").encode("utf-8")
        self.assertEqual(self.language_and_text("/manual/ko/bind.html", data), ("ko", KOREAN))

    def test_without_a_declaration_the_frequent_letters_decide(self):
        for text, charset in ((KOREAN, "euc-kr"), (JAPANESE, "euc-jp"), (JAPANESE, "cp932"),
                              (SIMPLIFIED, "gb2312"), (TRADITIONAL, "big5")):
            with self.subTest(charset=charset):
                self.assertEqual(fetch_text.decode("/doc/a.html", page(text).encode(charset)), page(text))

    def test_an_accent_in_english_is_no_chinese_character(self):
        for charset in (None, "ISO-8859-1"):
            with self.subTest(charset=charset):
                data = page(ENGLISH, charset).encode("latin-1")
                self.assertEqual(self.language_and_text("/doc/a.html", data), ("en", ENGLISH.strip()))


class Language(unittest.TestCase):
    def test_a_text_misread_as_another_language_is_garbled(self):
        for text, charset, wrong in ((KOREAN, "euc-kr", "gb18030"), (SIMPLIFIED, "gb2312", "cp949"),
                                     (TRADITIONAL, "big5", "gb18030")):
            with self.subTest(charset=charset):
                misread = text.encode(charset).decode(wrong, "ignore")
                data = page(misread).encode("utf-8")
                self.assertIn(fetch_text.text_of("/doc/a.html", data)[0], ("garbled", None))
                self.assertNotEqual(fetch_text.language_of(misread), fetch_text.language_of(text))

    def test_korean_misread_as_chinese_is_counted_as_dropped(self):
        misread = KOREAN.encode("euc-kr").decode("gb18030")
        self.assertEqual(fetch_text.language_of(misread), "zh")
        self.assertEqual(fetch_text.text_of("/doc/a.html", page(misread).encode())[0], "garbled")

    def test_a_text_in_another_language_than_its_folder_is_garbled_unless_english(self):
        self.assertEqual(fetch_text.text_of("/ko/a.html", page(SIMPLIFIED).encode())[0], "garbled")
        self.assertEqual(fetch_text.text_of("/zh-TW/a.html", page(SIMPLIFIED).encode())[0], "zh")
        self.assertEqual(fetch_text.text_of("/ko/a.html", page(ENGLISH).encode())[0], "en")

    def test_the_folder_decides_on_characters_that_both_scripts_have(self):
        both = "表格格式和字型：以此方法使用文件的名字、大小、位置和其他一切部分，可在列表中使用上方和下方的行。"
        self.assertEqual(fetch_text.text_of("/zh-TW/a.html", page(both).encode())[0], "zh-Hant")
        self.assertEqual(fetch_text.text_of("/zh-CN/a.html", page(both).encode())[0], "zh")


if __name__ == "__main__":
    unittest.main()
