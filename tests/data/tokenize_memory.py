#!/usr/bin/env python3
"""`tandem data tokenize` takes as much memory for 2 GB of text as for 10 MB. Under TANDEM_FULL alone, for it takes minutes.

usage: tests/data/tokenize_memory.py [MEGABYTES [DIR]]      DIR: a tokenizer; default: the kind of Llama 3 of 4,000 tokens

The text comes by standard input, with targets, so that there is a mask; $TANDEM_EXECUTABLE is the program. At most 512
MiB are resident, and of the larger 10% more than of the smaller, but for what threads hold.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from own_venv import SKIPPED

ROOT = pathlib.Path(__file__).resolve().parents[2]
MOST = 512 << 20
HELD = 8 << 20  # what threads hold once all are busy, for which 10 MB are too few


def lines():
    """Some megabytes of documents."""
    texts = json.loads((ROOT / "tests/data/tokenizers/texts.json").read_text())
    return "".join(json.dumps({"text": text, "targets": [[0, len(text.encode()) // 2]] if text else []}) + "\n"
                   for text in texts * 4).encode()


def resident(process):
    """Bytes resident at most so far; 0 once it has ended. (What wait4 says counts this process before the exec.)"""
    try:
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))


def peak(tokenizer, out, size):
    """Bytes resident at most for so many bytes of lines."""
    block, most = lines(), 0
    process = subprocess.Popen([os.environ["TANDEM_EXECUTABLE"], "data", "tokenize", "--tokenizer", tokenizer, "-", "--out",
                                out, "--threads", "2", "--end", "<|end_of_text|>"], stdin=subprocess.PIPE)
    for _ in range(max(1, size // len(block))):
        process.stdin.write(block)
        most = max(most, resident(process))
    process.stdin.close()
    while process.poll() is None:
        most = max(most, resident(process))
        time.sleep(0.01)
    if process.returncode != 0:
        sys.exit(f"tandem data tokenize: exit {process.returncode}")
    return most


def main():
    if not os.environ.get("TANDEM_FULL"):
        print("skipped: wants TANDEM_FULL, which tools/test --full sets")
        return SKIPPED
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    with tempfile.TemporaryDirectory() as directory:
        tokenizer = sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(directory) / "tokenizer"
        if len(sys.argv) < 3:
            tokenizer.mkdir()
            shutil.copy(ROOT / "tests/data/tokenizers/llama3.json", tokenizer / "tokenizer.json")
        small, large = (peak(tokenizer, pathlib.Path(directory) / "out.bin", size * 10**6) for size in (10, megabytes))
    print(f"10 MB: {small / 2**20:.1f} MiB resident at most, {megabytes} MB: {large / 2**20:.1f}")
    return int(max(small, large) > MOST or large > 1.1 * small + HELD)


if __name__ == "__main__":
    sys.exit(main())
