#!/usr/bin/env python3
"""Counts test cases in Meson's testlog.json files: each doctest or unittest case is one, any other program is one.

The last line is `N passed, N failed, N skipped`; the exit code is 1 if any failed or none ran.
"""

import json
import re
import sys

DOCTEST = re.compile(r"^\[doctest\] test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed", re.M)
DOCTEST_LEFT_OUT = re.compile(r"^\[doctest\] unskipped test cases passing the current filters: (\d+)", re.M)
UNITTEST = re.compile(r"^Ran (\d+) tests? in ", re.M)
SKIPPED = 77


def count(test):
    """(passed, failed, skipped) of one entry of the log."""
    text = test.get("stdout", "") + "\n" + test.get("stderr", "")
    good = test["returncode"] == 0
    if test["returncode"] == SKIPPED:
        return 0, 0, max(1, sum(map(int, DOCTEST_LEFT_OUT.findall(text))))
    summary = DOCTEST.findall(text)
    if summary:
        ran, passed, failed = map(int, summary[-1])
        if good and failed == 0 and ran > 0:
            return passed, 0, 0
        return passed, max(1, failed), 0
    ran = UNITTEST.findall(text)
    if ran:
        bad = sum(map(int, re.findall(r"\b(?:failures|errors)=(\d+)", text)))
        skipped = sum(map(int, re.findall(r"\bskipped=(\d+)", text)))
        failed = 0 if good else max(1, bad)
        return max(0, int(ran[-1]) - failed - skipped), failed, skipped
    return (1, 0, 0) if good else (0, 1, 0)


def main():
    tests, totals = [], [0, 0, 0]
    for path in sys.argv[1:]:
        try:
            with open(path, encoding="utf-8") as log:
                tests += [json.loads(line) for line in log]
        except OSError as error:
            print(f"FAILED: no test ran: {error}")
            totals[1] += 1
    for test in tests:
        counts = count(test)
        if counts[1]:
            print(f"FAILED: {test['name']}: {counts[1]} of {sum(counts)} cases, exit code {test['returncode']}")
        totals = [a + b for a, b in zip(totals, counts)]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
