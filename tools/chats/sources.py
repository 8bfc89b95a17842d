"""Input files: which of them hold chats, and their lines."""

import contextlib
import gzip
import os
import re
import shutil
import stat
import subprocess
import sys
import zlib

from chats.fault import Fault

MOST_BYTES = 1 << 30  # of a line
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# a key that only rows of messages have, and prompts with completions; quotes inside of a text are escaped
CHAT_KEY = re.compile(rb'"(?:messages|conversations|instruction|completion)"')


def is_lines(path):
    return path == "-" or path.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst"))


@contextlib.contextmanager
def unpacked(path):
    """The bytes of a file, or of standard input."""
    if path != "-" and not stat.S_ISREG(os.stat(path).st_mode):
        raise Fault(3, path, "is not a regular file; name a file, or - for standard input")
    if path == "-":
        yield sys.stdin.buffer
    elif path.endswith(".gz"):
        with gzip.open(path) as file:
            yield file
    elif path.endswith(".zst"):
        program = shutil.which("zstd")
        if program is None:
            raise Fault(2, path, "needs the program zstd to be read here; install the Debian package zstd")
        with open(path, "rb") as file, subprocess.Popen(
            [program, "-dc"], stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            yield process.stdout
            if process.stdout.read(1):
                process.kill()  # nobody wants the rest
            elif process.wait() != 0:
                raise Fault(3, path, "is cut off or damaged; fetch it again")
    else:
        with open(path, "rb") as file:
            yield file


@contextlib.contextmanager
def opened(path):
    """The same; what goes wrong while it is read is a Fault."""
    try:
        with unpacked(path) as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise Fault(3, path, "is cut off or damaged; fetch it again") from None
    except OSError as error:
        raise Fault(3, path, f"cannot be read: {error.strerror or error}") from None


def may_hold_chats(path):
    """True unless no line of a .jsonl file has a key of chats. Standard input is read once, so that it may."""
    if not is_lines(path):
        return False
    if path == "-":
        return True
    overlap = 32
    with opened(path) as file:
        tail = b""
        while part := file.read(1 << 20):
            if CHAT_KEY.search(tail + part):
                return True
            tail = part[-overlap:]
    return False


def lines(path):
    """(number, text) of each line, without its end; empty ones too."""
    with opened(path) as file:
        number = 0
        while line := file.readline(MOST_BYTES + 2):
            number += 1
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            line = line.removesuffix(b"\n").removesuffix(b"\r")
            if len(line) > MOST_BYTES:
                raise Fault(3, f"{path}:{number}", "is longer than 1 GiB; split it")
            try:
                yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise Fault(3, f"{path}:{number}", f"is not UTF-8 at byte {error.start}; convert the file") from None
