"""What the tests of chats share: a tokenizer for the templates in chats/, their cases, a place for tools/tokenize."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(ROOT / "tools"))

from chats import documents, rows  # noqa: E402

TEMPLATES = pathlib.Path(__file__).parent / "chats"
SPECIAL = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "[INST]",
    "[/INST]",
    "<|User|>",
    "<|Assistant|>",
    "<|end|>",
    "<think>",
    "</think>",
]
ENDS = {
    "chatml": "<|im_end|>",
    "parts": "<|im_end|>",
    "generation": "<|im_end|>",
    "qwen2.5": "<|im_end|>",
    "qwen3": "<|im_end|>",
    "llama3": "<|eot_id|>",
    "r1-distill": "<|end|>",
}  # others: </s>


CASES = json.loads((TEMPLATES / "cases.json").read_text("utf-8"))
RECORDED = TEMPLATES / "recorded.json"


def byte_characters():
    """The character that byte-level BPE writes for each byte: itself where it is printable, else one from U+0100 on."""
    own = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in own]
    return {byte: chr(byte) if byte in own else chr(0x100 + others.index(byte)) for byte in range(256)}


def write_tokenizer(directory, end="</s>", chat_template=None):
    added = [
        {
            "id": 256 + i,
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i, text in enumerate(SPECIAL)
    ]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    tokenizer = {
        "version": "1.0",
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": {"type": "BPE", "vocab": {c: b for b, c in byte_characters().items()}, "merges": []},
    }
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": end}
    if chat_template is not None:
        config["chat_template"] = chat_template
    directory = pathlib.Path(directory)
    directory.mkdir(exist_ok=True)
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps(config), "utf-8")


def shown(document):
    """A document with its targets between marks, and what its end token is."""
    text = document["text"].encode()
    for begin, end in reversed(document.get("targets", [[0, len(text)]])):
        text = text[:begin] + "⟦".encode() + text[begin:end] + "⟧".encode() + text[end:]
    return [text.decode(), document["end"]]


def key(messages, arguments, prompt):
    return json.dumps([messages, arguments, prompt], sort_keys=True)


class Recorder:
    """A Template that notes what it renders."""

    def __init__(self, template):
        self.template, self.renderings, self.ranges = template, {}, {}
        self.end, self.added, self.reserved = template.end, template.added, template.reserved

    def of(self, arguments):
        return self.template.of(arguments)

    def render(self, messages, arguments, prompt=False):
        self.renderings[key(messages, arguments, prompt)] = None
        text = self.template.render(messages, arguments, prompt)
        self.renderings[key(messages, arguments, prompt)] = text
        return text

    def generation_ranges(self, messages, arguments):
        text, ranges = self.template.generation_ranges(messages, arguments)
        self.ranges[key(messages, arguments, False)] = [list(part) for part in ranges]
        return text, ranges

    def recorded(self):
        compiled = self.template.of({})
        return {
            "tagged": compiled.tagged,
            "variables": sorted(compiled.variables),
            "renderings": self.renderings,
            "ranges": self.ranges,
        }


class Replay:
    """A Template that renders what a Recorder noted, without transformers."""

    def __init__(self, recorded, end):
        from chats.template import TemplateError

        self.refusal = TemplateError("refused")
        self.end, self.added, self.reserved = end, tuple(SPECIAL), set()
        self.tagged, self.variables = recorded["tagged"], set(recorded["variables"])
        self.renderings, self.noted_ranges = recorded["renderings"], recorded["ranges"]

    def of(self, arguments):
        return self

    def render(self, messages, arguments, prompt=False):
        text = self.renderings[key(messages, arguments, prompt)]
        if text is None:
            raise self.refusal
        return text

    def generation_ranges(self, messages, arguments):
        return self.render(messages, arguments), self.noted_ranges[key(messages, arguments, False)]


def chat_of(case):
    return rows.read(rows.parse(json.dumps(CASES["chats"][case["chat"]]), "f:1"), "f:1")


def name_of(case):
    return " ".join([case["template"], case["chat"], case["train_on"], *case.get("arguments", {})])


def case_key(case):
    """Which recording serves a case: arguments of the command are in the renderings, not in their keys."""
    return " ".join([case["template"], *case.get("arguments", {})])


def check_case(test, case, template):
    """A case's documents and counts are those that it says."""
    renderer = documents.Renderer(template, case["train_on"])
    made = [shown(document) for document in renderer.documents(chat_of(case))]
    test.assertEqual(made, case["documents"])
    test.assertEqual(renderer.counts.dropped.count, case.get("dropped", 0))
    test.assertEqual(renderer.counts.rewritten.count, case.get("rewritten", 0))


FAKE = """#!/bin/sh
# stands for tandem: notes its arguments and its input; fails at a row as a line of fail-at says
printf '%s\\n' "$@" >arguments
case " $* " in *" - "*) cat >rows; if grep -q '^given up' rows; then exit 3; fi ;; esac
if [ -s fail-at ]; then echo "tandem: error: [-:$(cat fail-at)] is wrong" >&2; exit 3; fi
echo 'out.bin: 9 tokens' >&2
"""


class Place(unittest.TestCase):
    """A folder with a model and what stands for tandem."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = pathlib.Path(folder.name)
        self.write("tandem", FAKE)
        os.chmod(self.place / "tandem", 0o755)

    def write(self, name, content):
        (self.place / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    def run_tokenize(self, *arguments, feed=b"", tandem="tandem"):
        result = subprocess.run(
            [sys.executable, ROOT / "tools/tokenize", *arguments],
            cwd=self.place,
            input=feed,
            capture_output=True,
            env={**os.environ, "TANDEM": str(self.place / tandem)},
            timeout=600,
        )
        self.assertNotIn(b"Traceback", result.stderr)
        return result.returncode, result.stderr.decode()

    def rows(self):
        return [json.loads(line) for line in (self.place / "rows").read_text("utf-8").splitlines()]

    def arguments(self):
        return (self.place / "arguments").read_text("utf-8").splitlines()
