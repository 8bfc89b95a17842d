"""`tandem data tokenize`, fed with lines."""

import bisect
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

from chats.environment import CHECKOUT
from chats.fault import Fault

LINE = re.compile(r"\[-:(\d+)")


def find():
    """$TANDEM, else the checkout's build, else the PATH."""
    built = CHECKOUT / "build" / "cli" / "tandem"
    found = os.environ.get("TANDEM") or (str(built) if built.is_file() else shutil.which("tandem"))
    if not found or not (shutil.which(found) or pathlib.Path(found).is_file()):
        raise Fault(
            2,
            "tandem",
            f"is not found{' at ' + found if found else ''}; build it (ninja -C build), or name it in "
            "the environment variable TANDEM",
        )
    return found


def become(arguments):
    """Leaves the work to it."""
    program = find()
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execvp(program, [program, "data", "tokenize", *arguments])
    except OSError as error:
        raise Fault(2, program, f"cannot be run: {error.strerror}") from None


class Pipe:
    """Rows on their way in; its messages name the file and line that a row came from."""

    def __init__(self, arguments):
        try:
            self.process = subprocess.Popen(
                [find(), "data", "tokenize", *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            raise Fault(2, "tandem", f"cannot be run: {error.strerror}") from None
        self.rows, self.broken, self.given_up = 0, False, False
        self.starts, self.sources = [], []  # of runs of rows: the first, and its file and line
        self.reader = threading.Thread(target=self.show_messages)
        self.reader.start()

    def show_messages(self):
        for line in self.process.stderr:
            if not self.given_up:
                sys.stderr.write(LINE.sub(self.translated, line.decode("utf-8", "replace")))
                sys.stderr.flush()

    def translated(self, match):
        run = bisect.bisect_right(self.starts, int(match[1])) - 1
        if run < 0:
            return match[0]
        path, number = self.sources[run]
        return f"[{path}:{number + int(match[1]) - self.starts[run]}"

    def write(self, line, path, number):
        """A line of JSON, made of line `number` of path. False once it reads no more."""
        self.rows += 1
        if not self.sources or not self.follows(path, number):
            self.sources.append((path, number))
            self.starts.append(self.rows)
        try:
            self.process.stdin.write(line.encode() + b"\n")
        except BrokenPipeError:
            self.broken = True
        return not self.broken

    def follows(self, path, number):
        """True if the next row is of the next line, as in the run before."""
        last, first = self.sources[-1]
        return path == last and number - first == self.rows - self.starts[-1]

    def finish(self):
        """The exit code."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        code = self.process.wait()
        self.reader.join()
        return code if code >= 0 else 128 - code

    def give_up(self):
        """Ends it without a file: a line that is no JSON makes it remove what it wrote."""
        self.given_up = True
        try:
            self.process.stdin.write(b"given up\n")
        except BrokenPipeError:
            pass
        self.finish()


def row_text(row):
    return json.dumps(row, ensure_ascii=False)
