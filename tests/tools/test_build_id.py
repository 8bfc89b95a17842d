#!/usr/bin/env python3
"""tools/build_id.py: what changes the id, and when its header is written anew."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))


class BuildId(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.addCleanup(self.place.cleanup)
        self.root = pathlib.Path(self.place.name)
        for name, text in [("core/a.h", "struct A {};\n"), ("core/ops/table.inc", "OP(a)\n"), ("core/a.cpp", "int a;\n")]:
            self.write(name, text)

    def write(self, name, text):
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def made(self, *words):
        out = self.root / "build_id.h"
        subprocess.run([sys.executable, ROOT / "tools/build_id.py", self.root, out, self.root / "build_id.d", *words], check=True)
        return out.read_text()

    def test_headers_and_words_change_it(self):
        seen = [self.made("gcc", "12")]
        for name, text in [("core/a.h", "struct A { int a; };\n"), ("core/ops/table.inc", "OP(a)\nOP(b)\n"), ("core/b.h", ""),
                           ("backends/cuda/communicator.h", "")]:
            self.write(name, text)
            seen.append(self.made("gcc", "12"))
        seen += [self.made("gcc", "13"), self.made("gcc", "13", "-D_GLIBCXX_DEBUG")]
        self.assertEqual(len(set(seen)), len(seen))

    def test_a_source_does_not_and_the_header_stays(self):
        before = self.made("gcc")
        os.utime(self.root / "build_id.h", ns=(1, 1))
        self.write("core/a.cpp", "int b;\n")
        self.assertEqual(self.made("gcc"), before)
        self.assertEqual((self.root / "build_id.h").stat().st_mtime_ns, 1)
        self.assertIn("core/a.h", (self.root / "build_id.d").read_text())


if __name__ == "__main__":
    unittest.main()
