#!/usr/bin/env python3
"""What recipes/fetch_instructions.py makes of pages, without a network."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "recipes"))
sys.dont_write_bytecode = True

import fetch_instructions as fi  # noqa: E402


class Kinds(unittest.TestCase):
    def test_a_faq_heading_that_asks_has_what_stands_under_it(self):
        rows = list(fi.faq_rows("zh", "choosing.html", [
            "第 1 章 定义", "1.1. 什么是 Debian？", "Debian 是一个操作系统。", "它是自由的。",
            "1.2. 历史", "很长。", "1.3. 为什么？", "因为："]))
        self.assertEqual(rows, [("什么是 Debian？", "Debian 是一个操作系统。\n\n它是自由的。")])

    def test_a_manual_page_says_what_its_command_does(self):
        rows = list(fi.manual_rows("ja", "/usr/share/man/ja/man1/cat.1.gz", [
            "名前", "cat - ファイルを連結して標準出力に出力する", "書式", "cat [オプション]", "説明",
            "ファイルあるいは標準入力を連結して標準出力に出力する。", "-n 行番号を付ける。"]))
        self.assertEqual(len(rows), 1)
        self.assertIn("cat", rows[0][0])
        self.assertEqual(rows[0][1], "ファイルを連結して標準出力に出力する\n\n"
                                     "ファイルあるいは標準入力を連結して標準出力に出力する。")

    def test_a_page_of_another_section_or_in_another_language_makes_no_row(self):
        page = ["NAME", "tzfile - timezone information", "DESCRIPTION", "The file is binary and has a header."]
        self.assertEqual(list(fi.manual_rows("en", "/usr/share/man/man5/tzfile.5.gz", page)), [])
        self.assertEqual(list(fi.manual_rows("ja", "/usr/share/man/ja/man1/x.1.gz", page)), [])

    def test_help_ends_where_the_translation_does(self):
        rows = list(fi.help_rows("zh", "01/04050100.html", [
            "从文件插入工作表", "从其他的电子表格文件插入一个工作表。", "要访问此命令...", "选择工作表。"]))
        self.assertEqual([answer for _, answer in rows], ["从其他的电子表格文件插入一个工作表。"])
        self.assertEqual(list(fi.help_rows("ko", "x.html", ["분할", "Divides the current window at the top left."])), [])

    def test_long_answers_are_whole_paragraphs(self):
        self.assertEqual(fi.answer_of("zh", ["一" * 300, "二" * 200]), "一" * 300)
        self.assertEqual(fi.answer_of("zh", ["一" * 900]), "")

    def test_line_ends_that_may_stand_inside_words_are_not_joined(self):
        self.assertEqual(fi.running_text("zh", ["这是一个", "编辑器。"]), "这是一个编辑器。")
        self.assertEqual(fi.running_text("ko", ["고대 전", "쟁 게임"]), "")
        self.assertEqual(fi.running_text("en", ["features:", " * one"]), "")


class TheRows(unittest.TestCase):
    def test_an_instruction_stands_once_and_the_order_is_the_same_every_time(self):
        texts = [f"question {k}" for k in range(40)]
        orders = []
        for names in (texts, texts[::-1]):
            rows = fi.Rows()
            for name in names + names[:3]:
                rows.add("faq", "en", name, "answer", "package", "licence")
            orders.append([row["instruction"] for row in rows.limited(30)])
        self.assertEqual(orders[0], orders[1])
        self.assertEqual(len(set(orders[0])), 30)

    def test_rows_that_share_text_with_held_out_documents_are_found(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "held-out.jsonl"
            text = "The cat command joins files, one after the other, and writes them to the standard output."
            path.write_text(json.dumps({"text": "Before. " + text + " After."}) + "\n")
            held_out = fi.HeldOut([path])
            self.assertTrue(held_out.shares({"output": text.replace(", ", ",\n")}))
            self.assertFalse(held_out.shares({"output": "The dog command splits files into parts of equal length."}))

    def test_own_rows_are_checked_by_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "own.jsonl"
            path.write_text('{"instruction": "a", "output": "b"}\n{"instruction": "a"}\n')
            with self.assertRaises(SystemExit) as raised:
                fi.own_rows(fi.Rows(), [], path)
            self.assertIn(f"{path}:2: not a row", str(raised.exception))


if __name__ == "__main__":
    unittest.main()
