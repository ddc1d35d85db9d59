#!/usr/bin/env python3
"""check.py COMPILER [ARG...]: every header under include/levada compiles alone, and twice in one file.

Prints `file:line: message` for each that does not, and exits 1. `tools/check headers` calls it.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLAGS = ["-std=c++20", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror",
         "-fsyntax-only", "-Iinclude", "-x", "c++", "-"]


def check(command, header):
    """(place and message, header) of the first error, or None."""
    name = header.relative_to(ROOT / "include").as_posix()
    shown = header.relative_to(ROOT).as_posix()
    include = f"#include <{name}>\n"
    done = subprocess.run(
        [*command, *FLAGS], input=include + include, cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    if done.returncode == 0:
        return None
    for line in done.stdout.splitlines():
        error = re.match(r"(.+?):(\d+):(?:\d+:)? (?:fatal )?error: (.*)", line)
        if error:
            return "{}:{}: {}".format(*error.groups()), name
    return f"{shown}:1: the compiler failed: {done.stdout.strip()[-200:] or done.returncode}", name


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    headers = sorted((ROOT / "include").rglob("*.hpp"))
    findings = {}  # a header's error shows in every header that includes it: say it once
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for finding in pool.map(lambda header: check(sys.argv[1:], header), headers):
            if finding:
                findings.setdefault(finding[0], []).append(finding[1])
    for error, names in findings.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        print(f"{error}, mend it: <{names[0]}>{more} must compile alone")
    sys.exit(1 if findings else 0)


main()
