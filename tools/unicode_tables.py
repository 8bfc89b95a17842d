#!/usr/bin/env python3
"""Writes core/data/unicode_tables.inc: Unicode as the Python package `tokenizers` has it.

usage: tools/unicode_tables.py [--check]

The package holds several Unicode versions at once, so each property is probed where the package uses it: categories,
spaces, words and case by its regular expressions, numbers by Digits, punctuation by Punctuation, white space and words
beside added tokens by those, decompositions, compositions and the order of marks by NFD and NFC. Needs the package in
the version below. With --check nothing is written: exit 1 if the file differs.
"""
import argparse
import pathlib
import sys

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

VERSION = "0.23.3"
OUT = pathlib.Path(__file__).resolve().parents[1] / "core/data/unicode_tables.inc"
CATEGORIES = "Cn Cc Cf Co Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs".split()
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CHARACTERS = [chr(c) for c in CODES]
ALL = "".join(CHARACTERS)
NFC, NFD = normalizers.NFC().normalize_str, normalizers.NFD().normalize_str
LOW_MARK, HIGH_MARK = "\u0334", "\u0345"  # of the first and the last combining class


def matched(pattern):
    """A byte per character: 1 where a regular expression matches it."""
    found = bytearray(b"\1" * len(CODES))
    for _, (begin, end) in pre_tokenizers.Split(Regex(pattern), "removed").pre_tokenize_str(ALL):
        found[begin:end] = bytes(end - begin)
    return found


def isolated(splitter):
    """A byte per character: 1 where a pre-tokenizer makes a piece of it between two letters."""
    found = bytearray(len(CODES))
    for _, (begin, end) in splitter.pre_tokenize_str("a" + "a".join(ALL) + "a"):
        if end - begin == 1 and begin % 2:
            found[begin // 2] = 1
    return found


def beside_added_token(token, text, met):
    """A byte per character: whether met(encoding, id of the token) where it stands in text(character)."""
    tokenizer = Tokenizer(models.WordLevel({"?": 0}, "?"))
    tokenizer.add_tokens([token])
    encodings = tokenizer.encode_batch([text(c) for c in CHARACTERS], add_special_tokens=False)
    return bytearray(met(e, tokenizer.token_to_id(token.content)) for e in encodings)


def properties():
    """Name: a byte per character."""
    return {
        "space": matched(r"\s"),
        "word": matched(r"\w"),
        "digit": matched(r"\d"),
        "numeric": isolated(pre_tokenizers.Digits(individual_digits=True)),
        "punctuation": isolated(pre_tokenizers.Punctuation("isolated")),
        "white": beside_added_token(AddedToken("<x>", rstrip=True, normalized=False), lambda c: "<x>" + c + "a",
                                    lambda e, _: (0, 4) in e.offsets),
        "word_beside_token": beside_added_token(AddedToken("<x>", single_word=True, normalized=False),
                                                lambda c: c + "<x>", lambda e, i: i not in e.ids),
    }


def categories():
    """The index of each character's category."""
    found = bytearray(len(CODES))
    for index, name in enumerate(CATEGORIES):
        for i, is_in in enumerate(matched(r"\p{%s}" % name)):
            if is_in:
                found[i] = index
    return found


def swaps(first, second):
    return NFD("a" + first + second) == "a" + second + first


def mark_order():
    """Each mark that canonical order moves: its rank among them."""
    marks = [c for c in CHARACTERS if NFD(c) == c and (swaps(c, LOW_MARK) or swaps(HIGH_MARK, c))]
    classes = []  # lists of marks that do not swap with each other, in order
    for mark in marks:
        low, high = 0, len(classes)
        while low < high:
            middle = (low + high) // 2
            if swaps(mark, classes[middle][0]):
                low = middle + 1
            else:
                high = middle
        if low < len(classes) and not swaps(classes[low][0], mark):
            classes[low].append(mark)
        else:
            classes.insert(low, [mark])
    return sorted((ord(mark), rank) for rank, group in enumerate(classes, 1) for mark in group)


def decompositions():
    """Code point, its canonical decomposition, and whether NFC puts it together again. Hangul is made by arithmetic."""
    return [(c, [ord(d) for d in NFD(chr(c))], NFC(chr(c)) == chr(c))
            for c in CODES if not 0xAC00 <= c < 0xD7A4 and NFD(chr(c)) != chr(c)]


def folds():
    """Letter, code point: what a letter of ASCII matches without regard to case beside itself and its other case."""
    return [(letter, c) for letter in range(ord("a"), ord("z") + 1)
            for c, is_in in zip(CODES, matched(f"(?i:{chr(letter)})")) if is_in and c not in (letter, letter - 32)]


def check_hangul():
    for s in range(0xAC00, 0xD7A4):
        v, t = divmod(s - 0xAC00, 28)
        parts = chr(0x1100 + v // 21) + chr(0x1161 + v % 21) + (chr(0x11A7 + t) if t else "")
        assert NFD(chr(s)) == parts and NFC(parts) == chr(s), hex(s)


def runs(values):
    """(length, value) of each run over all code points; surrogates continue what stands before them."""
    found = []
    for code, value in zip(CODES, values):
        if not found or found[-1][1] != value:
            found.append((code, value))
    ends = [start for start, _ in found[1:]] + [0x110000]
    return [(end - start, value) for (start, value), end in zip(found, ends)]


def array(name, numbers, comment):
    """A C++ array, wrapped."""
    lines, line = [], " "
    for number in numbers:
        if len(line) + len(str(number)) + 2 > 119:
            lines.append(line)
            line = " "
        line += f" {number},"
    return "\n".join([f"// {comment}", f"constexpr uint32_t {name}[] = {{", *lines, line, "};", ""])


def table():
    """The text of the file."""
    category = categories()
    parts = [f"// Unicode as the Python package tokenizers {tokenizers.__version__} has it; made by tools/unicode_tables.py.\n",
             "// clang-format off\n",
             array("kCategoryRuns", [length << 5 | value for length, value in runs(category)],
                   "Runs of a category over all code points: length << 5 | category.")]
    for name, values in properties().items():
        inside = [sum(v for v, c in zip(values, category) if c == k) for k in range(len(CATEGORIES))]
        mask = sum(1 << k for k in range(len(CATEGORIES)) if 2 * inside[k] > category.count(k))
        differences = runs([value != (mask >> c & 1) for value, c in zip(values, category)])
        words = "".join(word.capitalize() for word in name.split("_"))
        parts.append(array(f"k{words}", [mask] + [length for length, _ in differences],
                           f"Property {name}: a mask of categories, then lengths of runs that follow it and do not, in turn."))
    parts.append(array("kFolds", [number for pair in folds() for number in pair],
                       "What a letter of ASCII matches without regard to case beside its two cases: letter, code point."))
    marks, last = [], 0
    for code, rank in mark_order():
        marks.append((code - last) << 6 | rank)
        last = code
    parts.append(array("kMarks", marks, "Marks that canonical order moves: distance from the one before << 6 | rank."))
    numbers, last = [], 0
    for code, decomposition, composes in decompositions():
        numbers += [(code - last) << 4 | len(decomposition) << 1 | composes, *decomposition]
        last = code
    parts.append(array("kDecompositions", numbers,
                       "Canonical decompositions: distance from the one before << 4 | length << 1 | NFC undoes it; its code points."))
    return "\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="probe again and compare with the file")
    arguments = parser.parse_args()
    if tokenizers.__version__ != VERSION:
        sys.exit(f"tools/unicode_tables.py: needs tokenizers {VERSION}, this is {tokenizers.__version__}")
    check_hangul()
    made = table()
    if not arguments.check:
        OUT.write_text(made)
    elif made != OUT.read_text():
        sys.exit("unicode tables: different")
    print("unicode tables:", "equal" if arguments.check else f"{len(made)} bytes")


if __name__ == "__main__":
    main()
