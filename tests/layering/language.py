#!/usr/bin/env python3
"""What is checked of the language: how comments begin, how messages say no, how wide docs are."""

import os
import pathlib
import re
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
CODE = ["core", "backends", "kernels", "shaders", "cli", "tests"]
SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".comp", ".glsl", ".inc"}
WIDTH = 120
# a comment is a sentence or noun phrase that starts with its subject
FIRST_WORDS = re.compile(r"^(of|that|which|likewise)\b", re.I)
# "is not a ..." says what was expected; "there is no" and "is no longer" are plain English
IS_NO = re.compile(r'"[^"\n]*(?<!there )\bis no (?!longer\b)[^"\n]*"')


def code_files():
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in SUFFIXES and "build" not in path.parts:
                yield path.relative_to(ROOT), path.read_text()


def comments(text):
    """(line number, text) of each line comment; of a block of whole-line comments, of its first line."""
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        whole = re.match(r"\s*//!?\s?(.*)", line)
        if whole:
            if not inside:
                yield number, whole[1]
            inside = True
            continue
        inside = False
        behind = re.search(r"\s//\s(.*)", line)
        if behind:
            yield number, behind[1]


def wide_lines(text):
    """Numbers of the lines of a page that are too wide; tables, links and code are left out."""
    in_code = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif len(line) > WIDTH and not in_code and not line.lstrip().startswith("|") and "](" not in line \
                and "http" not in line and not line.startswith("    "):
            yield number


class Language(unittest.TestCase):
    def test_comments_start_with_their_subject(self):
        found = [f"{path}:{number}: {text}" for path, code in code_files() for number, text in comments(code)
                 if FIRST_WORDS.match(text)]
        self.assertEqual(found, [])

    def test_messages_say_what_was_expected(self):
        found = [f"{path}: {match}" for path, code in code_files() if path.parts[0] != "tests"
                 for match in IS_NO.findall(code)]
        self.assertEqual(found, [])

    def test_docs_are_wrapped(self):
        pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
        found = [f"{page.relative_to(ROOT)}:{number}" for page in pages for number in wide_lines(page.read_text())]
        self.assertEqual(found, [])

    def test_the_checks_find_what_they_look_for(self):
        planted = "int a;  // of the device\n// of two lines,\n// of which this is one\nint b;\n// Rows, of a table.\n"
        self.assertEqual([n for n, text in comments(planted) if FIRST_WORDS.match(text)], [1, 2])
        self.assertTrue(IS_NO.search('fail("{} is no model")'))
        self.assertFalse(IS_NO.search('fail("there is no model, and {} is no longer one")'))
        self.assertEqual(list(wide_lines("x" * 121 + "\n| " + "x" * 121 + "\n```\n" + "x" * 121 + "\n```\n")), [1])


if __name__ == "__main__":
    unittest.main()
