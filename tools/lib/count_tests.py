#!/usr/bin/env python3
"""count_tests.py BUILD_FOLDER: `N passed, N failed[, N skipped][; left out: ...]` for the last `meson test` there.

A Catch2 program counts as its test cases, any other test as one. Left out is what was not built, for want of what
left_out.txt in the folder names, and what a test that passed said it has skipped: a line `skipped: WHAT (WHY)`.
Exits 1 when something failed, 4 when nothing ran.
"""

import json
import pathlib
import re
import sys


def catch2_cases(text):
    """(passed, failed, skipped) by Catch2's last line, or None."""
    found = re.findall(r"^All tests passed \(\d+ assertions? in (\d+) test cases?\)", text, re.M)
    if found:
        return int(found[-1]), 0, 0
    found = re.findall(r"^test cases: +\d+ *(\|.*)$", text, re.M)
    if not found:
        return None
    kinds = {kind: int(n) for n, kind in re.findall(r"\| *(\d+) (passed|failed as expected|failed|skipped)", found[-1])}
    return (
        kinds.get("passed", 0) + kinds.get("failed as expected", 0),
        kinds.get("failed", 0),
        kinds.get("skipped", 0),
    )


def count(result, text):
    cases = catch2_cases(text)
    if result == "SKIP":
        return 0, 0, 1
    if result in ("OK", "EXPECTEDFAIL"):
        return cases or (1, 0, 0)
    passed, failed, skipped = cases or (0, 0, 0)
    return passed, max(failed, 1), skipped  # a crash or a leak at the end fails the program


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    total, left_out = [0, 0, 0], []
    file = pathlib.Path(sys.argv[1]) / "left_out.txt"
    if file.is_file() and (what := file.read_text(encoding="utf-8").strip()):
        left_out.append(what)
    for log in sorted((pathlib.Path(sys.argv[1]) / "meson-logs").glob("testlog*.json")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            test = json.loads(line)
            said = test.get("stdout") or ""
            for i, n in enumerate(count(test["result"], said)):
                total[i] += n
            if test["result"] == "OK":
                left_out += re.findall(r"^skipped: (.*)$", said, re.M)
    passed, failed, skipped = total
    told = f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")
    if left_out:
        told += f"; left out: {', '.join(dict.fromkeys(left_out))}"
    print(told)
    sys.exit(1 if failed else 0 if passed or skipped else 4)


main()
