#!/usr/bin/env python3
"""run_snippets.py COMPILER [ARG...]: each program in README.md and docs/ prints what the comment behind its main says.

The arguments are those that compile and link a file.
"""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/lib"))
sys.dont_write_bytecode = True

import snippets  # noqa: E402


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    ran = 0
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in snippets.blocks(page.read_text(encoding="utf-8")):
            if block.prints is None:
                continue
            with tempfile.TemporaryDirectory() as folder:
                file, program = pathlib.Path(folder) / "snippet.cpp", pathlib.Path(folder) / "snippet"
                # Those that bring their own headers are whole.
                file.write_text(("" if "#include <levada" in block.code else snippets.PRELUDE) + block.code, encoding="utf-8")
                subprocess.run([sys.argv[1], file, *sys.argv[2:], "-o", program], check=True)
                said = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=60, check=True).stdout
            if said.strip() != block.prints:
                sys.exit(f"{page.relative_to(ROOT)}:{block.line}: prints `{said.strip()}`, and not `{block.prints}`")
            ran += 1
    if ran < 2:
        sys.exit("there are programs in README.md and docs/tour.md; they were not found")


main()
