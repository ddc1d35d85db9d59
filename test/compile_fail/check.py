#!/usr/bin/env python3
"""check.py FILE COMPILER [ARG...]: FILE compiles, and with -DLEVADA_MISUSE it does not.

The compiler's message must match the regex of FILE's first line, `// expect: <regex>`.
"""

import re
import subprocess
import sys


def compile_file(command, path):
    done = subprocess.run(
        [*command, "-fsyntax-only", path],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
    )
    return done.returncode == 0, done.stdout


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    path, command = sys.argv[1], sys.argv[2:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    first = text.partition("\n")[0]
    expect = re.fullmatch(r"// expect: (.+)", first)
    if not expect:
        sys.exit(f"{path}:1: the first line is not `// expect: <regex>`")
    if "LEVADA_MISUSE" not in text:
        sys.exit(f"{path}:1: holds no `#ifdef LEVADA_MISUSE`")

    compiled, said = compile_file(command, path)
    if not compiled:
        sys.exit(f"{said}\n{path}:1: must compile without LEVADA_MISUSE, and does not")
    compiled, said = compile_file([*command, "-DLEVADA_MISUSE"], path)
    if compiled:
        sys.exit(f"{path}:1: must not compile with LEVADA_MISUSE, and does")
    if not re.search(expect[1], said):
        sys.exit(f"{said}\n{path}:1: does not compile, but the message does not match `{expect[1]}`")


main()
