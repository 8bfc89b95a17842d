#!/usr/bin/env python3
"""tools/test_summary.py on logs whose right count is known."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("TANDEM_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[2]))
SCRIPT = ROOT / "tools/test_summary.py"

spec = importlib.util.spec_from_file_location("summary", SCRIPT)
summary = importlib.util.module_from_spec(spec)
spec.loader.exec_module(summary)


def entry(returncode, stdout="", stderr=""):
    return {"name": "x", "returncode": returncode, "stdout": stdout, "stderr": stderr}


def doctest(ran, passed, failed):
    return f"[doctest] test cases: {ran:3} | {passed:3} passed | {failed} failed | 7 skipped\n"


class Summary(unittest.TestCase):
    def check(self, test, expected):
        self.assertEqual(summary.count(test), expected)

    def test_doctest_cases(self):
        self.check(entry(0, doctest(12, 12, 0)), (12, 0, 0))
        self.check(entry(1, doctest(12, 10, 2)), (10, 2, 0))

    def test_a_binary_that_fails_after_its_cases_has_failed(self):
        self.check(entry(1, doctest(12, 12, 0)), (12, 1, 0))
        self.check(entry(-11, "half an output"), (0, 1, 0))

    def test_a_filter_that_matches_nothing_has_failed(self):
        self.check(entry(0, doctest(0, 0, 0)), (0, 1, 0))

    def test_a_skipped_binary_counts_its_cases(self):
        self.check(entry(77, "[doctest] unskipped test cases passing the current filters: 30\nno device\n"), (0, 0, 30))

    def test_unittest_cases(self):
        self.check(entry(0, "", "Ran 4 tests in 0.1s\n\nOK (skipped=1)"), (3, 0, 1))
        self.check(entry(1, "", "Ran 4 tests in 0.1s\n\nFAILED (failures=1, errors=1)"), (2, 2, 0))

    def run_script(self, *logs):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for number, tests in enumerate(logs):
                paths.append(pathlib.Path(folder, str(number)))
                paths[-1].write_text("".join(json.dumps(test) + "\n" for test in tests))
            result = subprocess.run([sys.executable, SCRIPT, *paths], capture_output=True, text=True, check=False)
            return result.returncode, result.stdout.splitlines()[-1]

    def test_the_last_line_and_the_exit_code(self):
        good, bad = entry(0, doctest(3, 3, 0)), entry(1, doctest(3, 1, 2))
        self.assertEqual(self.run_script([good], [good]), (0, "6 passed, 0 failed, 0 skipped"))
        self.assertEqual(self.run_script([good, bad]), (1, "4 passed, 2 failed, 0 skipped"))
        self.assertEqual(self.run_script([]), (1, "0 passed, 0 failed, 0 skipped"))


if __name__ == "__main__":
    unittest.main()
