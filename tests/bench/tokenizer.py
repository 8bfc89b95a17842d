#!/usr/bin/env python3
"""MB/s of `tandem data tokenize` beside the Python package `tokenizers`, on one core and on two, of full-size tokenizers.

usage: TANDEM=build/cli/tandem tests/bench/tokenizer.py [--rounds N] [--megabytes N] [NAME ...]

Makes a venv with the packages of tests/data/requirements.txt. In each round each program runs once on a file of JSONL
and once on one of three times its size, on as many cores as it is said to use. A row has medians over the rounds: MB of
text per second from text to ids (by the difference of the two files), the same per second of processor time, which other
programs on the machine change little, and seconds of it until the tokenizer is ready. The floor is what reading,
parsing and writing take: the tokenizer `bytes`, which makes four times as many tokens. The text: Python's and C's sources,
Debian's licences and translations, each file once.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "data"))
import compare_tokenizers  # noqa: E402
import full_tokenizers  # noqa: E402
from own_venv import call_again  # noqa: E402

NAMES = ["qwen2", "llama3", "deepseek", "gpt2", "mistral-v1"]
REFERENCE = """
import json, sys
from tokenizers import Tokenizer
tokenizer = Tokenizer.from_file(sys.argv[1])
batch = []
def flush():
    for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False): encoding.ids
    batch.clear()
for line in open(sys.argv[2], encoding="utf-8"):
    batch.append(json.loads(line)["text"])
    if len(batch) == 256: flush()
flush()
"""


def texts():
    found = list(compare_tokenizers.documents())
    for directory, pattern in (("/usr/lib/python3", "**/*.py"), ("/usr/lib/python3.11", "**/*.py"), ("/usr/include", "**/*.h")):
        for path in sorted(pathlib.Path(directory).glob(pattern)):
            if path.is_file():
                found.append(path.read_bytes().decode("utf-8", "replace"))
    found = [text[:100_000] for text in found if text]
    random.Random(1).shuffle(found)
    return found


def write_file(path, documents, size):
    """Bytes of text in a file of about this size; documents is an iterator."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for text in documents:
            file.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
            written += len(text.encode())
            if written >= size:
                return written
    raise SystemExit(f"only {written} bytes of text are here, {size} are wanted; give fewer --megabytes")


def timed(command, cores, threads):
    """Seconds, and seconds of processor time."""
    begin = time.perf_counter()
    process = subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), *map(str, command)], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env={**os.environ, "RAYON_NUM_THREADS": str(threads)})
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command}: exit {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime


def commands(name, directory, threads):
    """Program: its command without the input."""
    def tokenize(tokenizer):
        return [os.environ["TANDEM"], "data", "tokenize", "--tokenizer", tokenizer, "--out", directory / "out.bin",
                "--threads", threads]
    return {"tandem": tokenize(directory / name), "tokenizers": [sys.executable, "-c", REFERENCE,
                                                                 directory / name / "tokenizer.json"],
            "floor": tokenize("bytes")}


def measure(name, directory, files, rounds):
    (small, small_bytes), (large, large_bytes) = files
    if not (directory / name).exists():
        full_tokenizers.write(name, directory / name)
    figures = {}
    for _ in range(rounds):
        for threads in (1, 2):
            for program, command in commands(name, directory, threads).items():
                cores = range(threads)
                wall, busy = zip(timed([*command, small], cores, threads), timed([*command, large], cores, threads))
                per_second = [(large_bytes - small_bytes) / max(t[1] - t[0], 1e-9) / 1e6 for t in (wall, busy)]
                ready = busy[0] - small_bytes / per_second[1] / 1e6
                figures.setdefault((program, threads), []).append((*per_second, ready))
    for (program, threads), rows in figures.items():
        wall, busy, ready = map(statistics.median, zip(*rows))
        print(f"{name:<12} {program:<11} {threads} core{'s' if threads > 1 else ' '}  {wall:7.1f} MB/s  {busy:7.1f} MB per "
              f"processor second  {max(ready, 0):5.2f} s to start", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=10, help="text of the smaller file")
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join(full_tokenizers.TOKENIZERS))
    options = parser.parse_args()
    directory = os.environ.get("TANDEM_OWN_VENV")
    if not directory:
        return call_again(__file__, "--no-deps", "-r", HERE.parent / "data/requirements.txt")
    directory, documents, size = pathlib.Path(directory), iter(texts()), options.megabytes * 1_000_000
    files = [(directory / f"{name}.jsonl", write_file(directory / f"{name}.jsonl", documents, bytes_of_text))
             for name, bytes_of_text in (("small", size), ("large", 3 * size))]
    for name in options.names or NAMES:
        measure(name, directory, files, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
