#!/usr/bin/env python3
"""tools/tokenize with transformers: templates, named and broken, and the masks of chats/cases.json.

Runs under TANDEM_FULL, and where .venv-tokenize is there. With --record it writes chats/recorded.json, what the
templates rendered to.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import chats_support as support
from chats_support import ROOT

from chats import documents, environment

HAS_TRANSFORMERS = environment.is_made() or os.environ.get("TANDEM_FULL")


def open_template(directory, case):
    from chats.template import Template

    support.write_tokenizer(directory, support.ENDS.get(case["template"], "</s>"))
    return Template(directory, str(support.TEMPLATES / f"{case['template']}.jinja"), case.get("arguments", {}), None)


def record():
    """What the templates of all cases render to, with transformers."""
    environment.enter()
    recorded = {}
    for case in support.CASES["cases"]:
        with tempfile.TemporaryDirectory() as directory:
            recorder = support.Recorder(open_template(directory, case))
            documents.Renderer(recorder, case["train_on"]).documents(support.chat_of(case))
        noted = recorded.setdefault(support.case_key(case), recorder.recorded())
        for part in ("renderings", "ranges"):
            noted[part].update(recorder.recorded()[part])
    return recorded


@unittest.skipUnless(HAS_TRANSFORMERS, "needs transformers: TANDEM_FULL=1, or run tools/tokenize on a chat once")
class Transformers(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        environment.enter()

    def test_recorded(self):
        self.assertEqual(record(), json.loads(support.RECORDED.read_text("utf-8")))

    def test_masks(self):
        for case in support.CASES["cases"]:
            with self.subTest(support.name_of(case)), tempfile.TemporaryDirectory() as directory:
                support.check_case(self, case, open_template(directory, case))

    def test_texts_are_those_of_apply_chat_template(self):
        from transformers import PreTrainedTokenizerFast

        for case in support.CASES["cases"]:
            chat = support.chat_of(case)
            if (
                case["train_on"] != "assistant" or case["chat"] == "dated_parts"
            ):  # parts are joined where they are not read
                continue
            with self.subTest(support.name_of(case)), tempfile.TemporaryDirectory() as directory:
                template = open_template(directory, case)
                text = PreTrainedTokenizerFast.from_pretrained(directory).apply_chat_template(
                    chat.messages,
                    tokenize=False,
                    chat_template=template.of({}).text,
                    **{**chat.others, **chat.arguments, **case.get("arguments", {})},
                )
                [made] = documents.Renderer(template, "assistant").documents(chat)
                self.assertEqual(made["text"], text)

    def test_the_tag_gives_the_mask_of_transformers(self):
        for case in support.CASES["cases"]:
            if case["template"] != "generation" or case["train_on"] != "assistant" or "weight" in case["chat"]:
                continue
            with self.subTest(support.name_of(case)), tempfile.TemporaryDirectory() as directory:
                template = open_template(directory, case)
                theirs = template.tokenizer.apply_chat_template(
                    support.chat_of(case).messages,
                    chat_template=template.of({}).text,
                    return_dict=True,
                    return_assistant_tokens_mask=True,
                )
                [made] = documents.Renderer(template, "assistant").documents(support.chat_of(case))
                mask, at = [], 0
                for token in theirs["input_ids"]:  # a byte, or a token that the text spells out
                    mask.append(sum(begin <= at < end for begin, end in made["targets"]))
                    at += 1 if token < 256 else len(support.SPECIAL[token - 256])
                self.assertEqual(mask, theirs["assistant_masks"])
                self.assertIn(1, mask)


@unittest.skipUnless(HAS_TRANSFORMERS, "needs transformers: TANDEM_FULL=1, or run tools/tokenize on a chat once")
class Chats(support.Place):
    def setUp(self):
        super().setUp()
        self.template("chatml")

    def template(self, text, end="<|im_end|>"):
        path = support.TEMPLATES / f"{text}.jinja"
        support.write_tokenizer(self.place / "model", end, path.read_text("utf-8") if path.is_file() else text)

    def tokenize(self, *lines, more=()):
        self.write("c.jsonl", "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
        return self.run_tokenize("--tokenizer", "model", "c.jsonl", "--out", "o.bin", *more)

    def text(self, *more, row):
        """What a row is rendered to."""
        self.assertEqual(self.tokenize(row, more=more)[0], 0)
        return self.rows()[0]["text"]

    QUESTION = {"role": "user", "content": "q"}
    ANSWER = {"role": "assistant", "content": "a"}
    CHAT = {"messages": [QUESTION, ANSWER]}
    NO_ANSWER = {"messages": [QUESTION]}

    def test_what_is_said_in_the_end(self):
        code, said = self.tokenize(
            {**self.CHAT, "id": 1, "tools": [{"type": "function"}]}, {"text": "t"}, {**self.CHAT, "id": 2}
        )
        self.assertEqual(code, 0)
        self.assertIn("tokenize: 2 chats, 2 answers\n", said)
        self.assertIn("tokenize: keys not read: id (2), tools (1)\n", said)
        self.assertEqual(
            [list(row) for row in self.rows()], [["text", "targets", "end"], ["text"], ["text", "targets", "end"]]
        )

    def test_chats_without_a_target(self):
        code, said = self.tokenize(*[self.CHAT] * 50, *[self.NO_ANSWER] * 2, *[self.CHAT] * 48)
        self.assertEqual(code, 3)
        self.assertIn("2 of 100 chats have no target, first c.jsonl:51 (no assistant message)", said)
        self.assertEqual((self.place / "rows").read_text("utf-8").splitlines()[-1], "given up")
        code, said = self.tokenize(*[self.CHAT] * 150, self.NO_ANSWER, *[self.CHAT] * 49)
        self.assertEqual((code, len(self.rows())), (0, 199))
        self.assertIn("are left out: 1 of 200, first c.jsonl:151 (no assistant message)", said)
        code, said = self.tokenize({"messages": [self.QUESTION, {**self.ANSWER, "weight": 0}]})
        self.assertEqual(code, 3)
        self.assertIn("1 of 1 chats", said)
        self.assertEqual(self.tokenize(self.NO_ANSWER, more=["--train-on", "all"])[0], 0)
        self.assertNotIn("targets", self.rows()[0])

    def test_templates_that_show_no_answer(self):
        users = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
        for template in ("hello", " ", users):
            with self.subTest(template):
                self.template(template)
                code, said = self.tokenize(self.CHAT)
                self.assertEqual(code, 3)
                self.assertIn("[c.jsonl:1] the chat template shows nothing of the answer in message 1", said)
        self.template("{% for m in messages %}{{ m.content }}{% generation %}{% endgeneration %}{% endfor %}")
        code, said = self.tokenize(self.CHAT)
        self.assertEqual(code, 3)
        self.assertIn("1 of 1 chats have no target, first c.jsonl:1 (the template encloses no answer", said)

    def test_templates_that_fail(self):
        for template, word in (
            ("{% if %}", "the chat template:"),
            ("{{ raise_exception('no ' + messages[0].role) }}", "no user"),
            ("{{ messages[9].content }}", "the chat template:"),
            ("{{ 1 / 0 }}", "division"),
            ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "the chat template:"),
            ("{{ messages[0].content | nofilter }}", "nofilter"),
        ):
            with self.subTest(template):
                self.template(template)
                code, said = self.tokenize({"text": "a"}, self.CHAT)
                self.assertEqual(code, 3)
                self.assertIn("[c.jsonl:2] the chat template: ", said)
                self.assertIn(word, said)
                self.assertEqual(self.tokenize({"text": "a"})[0], 0)  # a text needs no template

    def test_templates_by_name_by_file_and_none(self):
        support.write_tokenizer(self.place / "model", "<|im_end|>")
        code, said = self.tokenize(self.CHAT)
        self.assertEqual(code, 2)
        self.assertIn("[model] has no chat template", said)
        self.write("own.jinja", "{% for m in messages %}{{ m.content }}!{% endfor %}")
        self.assertEqual(self.tokenize(self.CHAT, more=["--template", "own.jinja"])[0], 0)
        self.assertEqual(self.rows(), [{"text": "q!a!", "targets": [[2, 4]], "end": "target"}])
        self.assertEqual(self.tokenize(self.CHAT, more=["--template", "none.jinja"])[0], 2)
        named = [
            {"name": "default", "template": "d{{ messages[1].content }}"},
            {"name": "tool_use", "template": "t{{ tools }}"},
            {"name": "own", "template": "o{{ messages[1].content }}"},
        ]
        support.write_tokenizer(self.place / "model", "<|im_end|>", named)
        text = functools.partial(self.text, "--train-on", "all")
        self.assertEqual(text(row=self.CHAT), "da")
        self.assertEqual(text(row={**self.CHAT, "tools": [{"a": 1}]}), "t[{'a': 1}]")
        self.assertEqual(text("--template", "own", row=self.CHAT), "oa")
        code, said = self.tokenize(self.CHAT, more=["--template", "other"])
        self.assertEqual(code, 2)
        self.assertIn("default, own, tool_use", said)

    def test_arguments_of_the_template(self):
        self.template("{% for m in messages %}{{ m.content }}{{ mark | default('?') }}{% endfor %}")
        self.assertEqual(self.text(row=self.CHAT), "q?a?")
        self.assertEqual(self.text("--template-argument", "mark=7", row=self.CHAT), "q7a7")
        self.assertEqual(self.text("--template-argument", "mark=x", row={**self.CHAT, "mark": "r"}), "qrar")
        self.assertEqual(self.text(row={**self.CHAT, "chat_template_kwargs": {"mark": True}}), "qTrueaTrue")
        code, said = self.tokenize({**self.CHAT, "chat_template_kwargs": {"other": 1}})
        self.assertIn("keys not read: chat_template_kwargs.other (1)", said)
        for argument, word in (("mark", "KEY=VALUE"), ("other=1", "other is not"), ("messages=1", "messages is not")):
            code, said = self.tokenize(self.CHAT, more=["--template-argument", argument])
            self.assertEqual(code, 2)
            self.assertIn(word, said)
        for name in ("tokenize", "messages"):
            code, said = self.tokenize({**self.CHAT, "chat_template_kwargs": {name: True}})
            self.assertEqual(code, 3)
            self.assertIn(f"sets {name}, which is not for a row to say", said)

    def test_the_date_is_said(self):
        self.template("{{ strftime_now('%Y') }}{% for m in messages %}{{ m.content }}{% endfor %}")
        self.assertIn("today's date", self.tokenize(self.CHAT)[1])
        self.template("llama3")
        self.assertIn("today's date", self.tokenize(self.CHAT)[1])
        self.assertNotIn("today's date", self.tokenize({**self.CHAT, "date_string": "1 May"})[1])

    def test_end_tokens(self):
        self.template("plain")
        self.tokenize(self.CHAT, {"messages": [self.QUESTION, self.ANSWER, self.QUESTION]})
        self.assertEqual([row["end"] for row in self.rows()], ["target", "masked"])
        support.write_tokenizer(self.place / "model", "<nowhere>", "{{ messages[1].content }}</s>\n")
        code, said = self.tokenize(self.CHAT)
        self.assertEqual(code, 2)
        self.assertIn("--end", said)
        self.write("model/config.json", '{"eos_token_id": [257, 3]}')
        self.assertEqual(self.tokenize(self.CHAT)[0], 0)
        self.assertEqual(self.rows()[0]["end"], "none")
        self.assertEqual(self.tokenize(self.CHAT, more=["--end", "<s>"])[0], 0)
        self.assertEqual(self.rows()[0]["end"], "target")
        self.assertEqual(self.tokenize(self.CHAT, more=["--end", "<none>"])[0], 2)

    def test_tokenizers_that_are_not_read(self):
        self.write("model/tokenizer.json", "{")
        code, said = self.tokenize(self.CHAT)
        self.assertEqual(code, 3)
        self.assertIn("[model]", said)
        os.remove(self.place / "model/tokenizer.json")
        self.assertEqual(self.tokenize(self.CHAT)[0], 2)

    def test_an_interrupt_leaves_no_traceback(self):
        self.write("c.jsonl", (json.dumps(self.CHAT) + "\n") * 100_000)
        process = subprocess.Popen(
            [sys.executable, ROOT / "tools/tokenize", "--tokenizer", "model", "c.jsonl", "--out", "o"],
            cwd=self.place,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "TANDEM": str(self.place / "tandem")},
        )
        while not (self.place / "rows").exists() and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=100)[1]
        self.assertEqual((process.returncode, said), (130, b""))


if __name__ == "__main__":
    if sys.argv[1:] == ["--record"]:
        support.RECORDED.write_text(json.dumps(record(), ensure_ascii=False, indent=0, sort_keys=True) + "\n", "utf-8")
    else:
        unittest.main()
