#!/usr/bin/env python3
"""tools/tokenize without transformers: rows, answers, messages and exit codes, and the masks of chats/cases.json.

Templates are replayed from chats/recorded.json, which is what they rendered to; test_chat_templates.py renders them.
"""

import json
import os
import shutil
import subprocess
import unittest

import chats_support as support

from chats import answers, rows
from chats.fault import Fault


class Masks(unittest.TestCase):
    def test_replayed(self):
        recorded = json.loads(support.RECORDED.read_text("utf-8"))
        for case in support.CASES["cases"]:
            with self.subTest(support.name_of(case)):
                end = support.ENDS.get(case["template"], "</s>")
                support.check_case(self, case, support.Replay(recorded[support.case_key(case)], end))


class Rows(unittest.TestCase):
    def read(self, row):
        return rows.read(rows.parse(row if isinstance(row, str) else json.dumps(row), "f.jsonl:7"), "f.jsonl:7")

    def refuse(self, row, *words):
        with self.assertRaises(Fault) as caught:
            self.read(row)
        self.assertEqual(caught.exception.code, 3)
        for word in ("[f.jsonl:7]", *words):
            self.assertIn(word, str(caught.exception))

    def test_kinds(self):
        self.assertIsNone(self.read({"text": "a", "targets": [[0, 1]], "id": 1}))
        self.assertIsNone(self.read({"prompt": "a", "completion": "b"}))
        self.assertIsNone(self.read({"text": "a", "messages": None}))
        question, answer = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
        self.assertEqual(self.read({"messages": [question, answer], "prompt": "q"}).others, {"prompt": "q"})
        sharegpt = self.read(
            {
                "conversations": [
                    {"from": "system", "value": "s"},
                    {"from": "human", "value": "q"},
                    {"from": "gpt", "value": "a", "weight": 0},
                    {"from": "observation", "value": "o"},
                    answer,
                ]
            }
        )
        self.assertEqual(
            [message["role"] for message in sharegpt.messages], ["system", "user", "assistant", "tool", "assistant"]
        )
        self.assertEqual(sharegpt.trained(), [4])
        alpaca = self.read({"instruction": "Add.", "input": "1 2", "output": "3", "system": "Count."})
        self.assertEqual(
            alpaca.messages,
            [
                {"role": "system", "content": "Count."},
                {"role": "user", "content": "Add.\n\n1 2"},
                {"role": "assistant", "content": "3"},
            ],
        )
        self.assertEqual(self.read({"instruction": "Hi", "input": "", "output": "a"}).messages[0]["content"], "Hi")
        lists = self.read({"prompt": [question, answer, question], "completion": [answer]})
        self.assertEqual((lists.answers(), lists.trained()), ([1, 3], [3]))

    def test_what_the_template_gets(self):
        message = {"messages": [{"role": "user", "content": "q"}]}
        tool = {"type": "function", "function": {"name": "f"}}
        self.assertEqual(self.read({**message, "tools": [tool]}).arguments, {"tools": [tool]})
        self.assertEqual(self.read({**message, "tools": json.dumps([tool])}).arguments, {"tools": [tool]})
        self.assertEqual(
            self.read({**message, "documents": [{"text": "d"}], "chat_template_kwargs": {"x": 1}}).arguments,
            {"documents": [{"text": "d"}], "x": 1},
        )
        self.assertEqual(self.read({**message, "id": 3, "empty": None}).others, {"id": 3})
        for nothing in ("", " \n", "null", None):
            self.assertEqual(self.read({**message, "tools": nothing}).arguments, {})
        self.refuse({**message, "tools": "{"}, "tools", "JSON")
        self.refuse({**message, "tools": "[" * 100_000}, "tools", "deep")
        self.refuse({**message, "tools": {"name": "f"}}, "tools")
        self.refuse({**message, "chat_template_kwargs": [1]}, "chat_template_kwargs")

    def test_refusals(self):
        chat = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
        self.refuse("[1]", "object")
        self.refuse("{", "JSON")
        self.refuse({"id": 1}, "neither text")
        self.refuse({"text": "a", "messages": chat}, "both text and messages")
        for name in ("images", "videos", "audios", "chosen", "rejected"):
            self.refuse({"messages": chat, name: ["x"]}, name)
        self.refuse({"prompt": "q", "chosen": chat, "rejected": chat}, "chosen")
        self.refuse({"prompt": "q", "completion": "a", "label": True}, "label")
        self.refuse({"conversations": [{"from": "bing", "value": "q"}]}, "conversations[0].from", "bing", "human")
        for speaker in (None, 5, ["human"], {"human": 1}):
            self.refuse({"conversations": [{"from": speaker, "value": "q"}]}, "conversations[0].from")
        self.refuse({"messages": []}, "messages")
        self.refuse({"messages": "hello"}, "messages")
        self.refuse({"messages": [*chat, "hello"]}, "messages[2]")
        self.refuse({"messages": [{"content": "q"}]}, "messages[0]", "role")
        self.refuse({"messages": [{"role": "user"}]}, "messages[0]", "content")
        self.refuse({"messages": [{"role": "user", "content": 7}]}, "messages[0].content")
        self.refuse({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content", "image")
        self.refuse({"messages": [{"role": "assistant", "content": "a", "weight": 0.5}]}, "weight", "0.5")
        self.refuse({"instruction": "q", "output": ["a"]}, "output")
        self.refuse({"prompt": chat, "completion": "a"}, "completion")

    def test_json_is_strict_about_what_is_read(self):
        chat = '"messages": [{"role": "user", "content": "q"}]'
        odd = f'"a": NaN, "a": 1e999, "n": {"9" * 5000}, "deep": {"[" * 1000 + "]" * 1000}'
        self.assertEqual(len(self.read(f"{{{chat}, {odd}}}").messages), 1)
        self.refuse(f"{{{chat}, {chat}}}", "messages stands twice")
        self.refuse(
            '{"messages": [{"role": "user", "content": "q", "content": "r"}]}', "messages[0].content stands twice"
        )
        self.refuse(f'{{{chat}, "tools": [{{"name": 1, "name": 2}}]}}', "tools[0].name stands twice")
        self.refuse('{"messages": [{"role": "user", "content": "\\ud800"}]}', "surrogate")


class Answers(unittest.TestCase):
    def test_bounds(self):
        self.assertEqual(answers.common_start("abcx", "abd"), 2)
        self.assertEqual(answers.common_end("xabc", "zbc"), 2)
        self.assertEqual(answers.common_end("aa", "aa"), 2)
        for begin, end, after in ((0, 9, 4), (0, 3, 3), (0, 4, 4)):
            self.assertEqual(answers.without_space("a<E>\n \t\nb", begin, min(end, 8), ("<E>",)), after)

    def test_an_answer_that_the_template_never_shows(self):
        def render(messages, prompt=False):
            return f"{len(messages)} messages"

        with self.assertRaises(answers.Unfindable):
            answers.find_answer(
                "2 messages", [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], 1, render, ()
            )


class Command(support.Place):
    def test_what_is_no_chat_goes_straight_to_tandem(self):
        self.write("a.jsonl", '{"text": "say \\"messages\\""}\n')
        self.write("b.txt", b"\xff\r\n")
        code, _ = self.run_tokenize(
            "--tokenizer", "bytes", "a.jsonl", "b.txt", "--out", "o.bin", "--bos", "--threads", "2"
        )
        self.assertEqual(code, 0)
        self.assertEqual(
            self.arguments(),
            ["data", "tokenize", "--tokenizer=bytes", "--out=o.bin", "--threads=2", "--bos", "a.jsonl", "b.txt"],
        )
        self.run_tokenize("--tokenizer", "d", "--prompt", "-1 is a number")
        self.assertEqual(self.arguments(), ["data", "tokenize", "--tokenizer=d", "--prompt=-1 is a number"])
        self.run_tokenize("--tokenizer", "d", "--decode", "1,2")
        self.assertEqual(self.arguments(), ["data", "tokenize", "--tokenizer=d", "--decode=1,2"])

    def test_texts_between_chats_keep_their_lines(self):
        row = b'{"prompt": "q", "completion": "a"}\n'
        self.write("a.jsonl", b"\xef\xbb\xbf" + row + b"\r\n\n" + row)
        self.write("b.txt", b"\xffx\r\n")
        self.write("c.jsonl", b"\n" + row + row)
        self.write("first.txt", "1")
        self.write("last.jsonl", '{"text": "1"}')
        inputs = ("first.txt", "a.jsonl", "b.txt", "c.jsonl", "last.jsonl")
        self.assertEqual(self.run_tokenize("--tokenizer", "bytes", *inputs, "--out", "o.bin")[0], 0)
        self.assertEqual(self.arguments()[-3:], ["first.txt", "-", "last.jsonl"])
        plain = json.loads(row)
        self.assertEqual(self.rows(), [plain, plain, {"text": "\ufffdx\r\n"}, plain, plain])
        for number, place in ((1, "a.jsonl:1"), (2, "a.jsonl:4"), (3, "b.txt:1"), (4, "c.jsonl:2"), (5, "c.jsonl:3")):
            self.write("fail-at", str(number))
            code, said = self.run_tokenize("--tokenizer", "bytes", *inputs, "--out", "o.bin")
            self.assertEqual((code, said), (3, f"tandem: error: [{place}] is wrong\n"))

    def test_standard_input_and_packed_files(self):
        import gzip

        row = b'{"prompt": "q", "completion": "a"}\n'
        self.write("a.jsonl.gz", gzip.compress(row) + gzip.compress(row))
        self.assertEqual(
            self.run_tokenize("--tokenizer", "bytes", "a.jsonl.gz", "-", "--out", "o", feed=b'{"text": "t"}')[0], 0
        )
        self.assertEqual([list(row) for row in self.rows()], [["prompt", "completion"]] * 2 + [["text"]])
        self.write("a.jsonl.gz", gzip.compress(row)[:-9])
        code, said = self.run_tokenize("--tokenizer", "bytes", "a.jsonl.gz", "--out", "o")
        self.assertEqual(code, 3)
        self.assertIn("[a.jsonl.gz] is cut off", said)

    @unittest.skipUnless(shutil.which("zstd"), "needs the program zstd")
    def test_zstd(self):
        row = b'{"prompt": "q", "completion": "a"}\n'
        packed = subprocess.run(["zstd", "-c"], input=row * 3, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        self.write("a.jsonl.zst", packed * 2)
        self.assertEqual(self.run_tokenize("--tokenizer", "bytes", "a.jsonl.zst", "--out", "o")[0], 0)
        self.assertEqual(len(self.rows()), 6)
        self.write("a.jsonl.zst", packed[:-5])
        code, said = self.run_tokenize("--tokenizer", "bytes", "a.jsonl.zst", "--out", "o")
        self.assertEqual(code, 3)
        self.assertIn("[a.jsonl.zst] is cut off", said)

    def test_arguments_and_files_that_are_wrong(self):
        self.write("a.jsonl", '{"prompt": "q", "completion": "a"}\n')
        self.write("b.jsonl", '{"messages": 1}\n')
        self.write("c.jsonl", b'{"prompt": "q", "completion": "a"}\n{"text": "\xff"}\n')
        self.write("chat.jsonl", '{"messages": [{"role": "user", "content": "q"}]}\n')
        os.mkfifo(self.place / "fifo.jsonl")  # which nobody writes to
        for code, word, *arguments in (
            (2, "usage", "--tokenizer", "bytes", "a.jsonl"),
            (2, "usage", "a.jsonl", "--out", "o"),
            (2, "unrecognized", "--tokenizer", "bytes", "a.jsonl", "--out", "o", "--strange"),
            (2, "[a.csv]", "--tokenizer", "bytes", "a.jsonl", "a.csv", "--out", "o"),
            (2, "not overwritten", "--tokenizer", "bytes", "a.jsonl", "--out", "a.jsonl"),
            (2, "standard input", "--tokenizer", "bytes", "-", "-", "--out", "o"),
            (2, "[--end] is empty", "--tokenizer", "bytes", "--end", "", "a.jsonl", "--out", "o"),
            (2, "[--prompt] is empty", "--tokenizer", "bytes", "--prompt="),
            (3, "[fifo.jsonl] is not a regular file", "--tokenizer", "bytes", "a.jsonl", "fifo.jsonl", "--out", "o"),
            (3, "[none.jsonl]", "--tokenizer", "bytes", "none.jsonl", "--out", "o"),
            (3, "[b.jsonl:1]", "--tokenizer", "bytes", "b.jsonl", "--out", "o"),
            (3, "[c.jsonl:2]", "--tokenizer", "bytes", "c.jsonl", "--out", "o"),
            (2, "[--bos]", "--tokenizer", "bytes", "chat.jsonl", "--out", "o", "--bos"),
            (2, "[--special-tokens]", "--tokenizer", "bytes", "chat.jsonl", "--out", "o", "--special-tokens", "text"),
            (2, "bytes has no chat template", "--tokenizer", "bytes", "chat.jsonl", "--out", "o"),
        ):
            with self.subTest(word):
                result, said = self.run_tokenize(*arguments)
                self.assertEqual(result, code)
                self.assertIn(word, said)
        self.assertEqual(self.run_tokenize("--tokenizer", "bytes", "a.jsonl", "--out", "o", tandem="nowhere")[0], 2)

    def test_tandem_that_ends_early(self):
        self.write("tandem", "#!/bin/sh\necho 'tandem: error: [--tokenizer] no' >&2\nexit 2\n")
        os.chmod(self.place / "tandem", 0o755)
        self.write("a.jsonl", '{"prompt": "q", "completion": "a"}\n' * 100_000)
        code, said = self.run_tokenize("--tokenizer", "bytes", "a.jsonl", "--out", "o")
        self.assertEqual((code, said), (2, "tandem: error: [--tokenizer] no\n"))


if __name__ == "__main__":
    unittest.main()
