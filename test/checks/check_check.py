#!/usr/bin/env python3
"""check_check.py: tools/check finds what is wrong in a copy of the project. CXX names the compiler."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
PARTS = ("README.md", "docs", "examples", "include", "src", "tools")


def findings(copy, check):
    done = subprocess.run([copy / "tools/check", check], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"tools/check {check} gave {done.returncode}: {done.stderr}")
    return done.stdout


@contextlib.contextmanager
def changed(path, old, new):
    text = path.read_text(encoding="utf-8")
    if old not in text:
        sys.exit(f"{path.name} has no `{old}` to change")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    yield
    path.write_text(text, encoding="utf-8")


def expect(what, said, *words):
    for word in words:
        if word not in said:
            sys.exit(f"{what}: no `{word}` in `{said.strip()}`")


def main():
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder)
        for part in PARTS:
            target = copy / part
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, target)
        for check in ("layers", "wall", "map", "quotes", "snippets"):
            if said := findings(copy, check):
                sys.exit(f"as it is: {said}")

        with changed(copy / "docs/tour.md", "task<int> twice(int n) { co_return 2 * n; }", "task<int> twice(int n) { co_return 2 * m; }"):
            expect("a snippet that does not compile", findings(copy, "snippets"), "docs/tour.md:", "does not compile")
        with changed(copy / "docs/slow-peers.md", "all.dropped", "all.lost"):
            expect("a quote that stands nowhere", findings(copy, "quotes"), "docs/slow-peers.md:", "examples/chat_server.cpp")

        (copy / "include/levada/attic").mkdir()
        (copy / "include/levada/attic/box.hpp").write_text("#pragma once\n", encoding="utf-8")
        expect("a folder outside the map", findings(copy, "map"), "include/levada/attic")
        expect("a folder that is no layer", findings(copy, "layers"), "unknown layer attic")
        shutil.rmtree(copy / "include/levada/attic")
        (copy / "include/levada/box.hpp").write_text("#pragma once\n", encoding="utf-8")
        expect("a header that belongs to no layer", findings(copy, "layers"), "include/levada/box.hpp:1: belongs to no layer")
        (copy / "include/levada/box.hpp").unlink()

        with changed(copy / "include/levada/base/errc.hpp", "#pragma once\n",
                     "#pragma once\n#include <levada/channel/channel.hpp>\nnamespace levada::detail {\nstruct box { int n; };\n}\n"):
            expect("an include up the layers", findings(copy, "layers"), "base includes channel")
            expect("something internal in a public header", findings(copy, "wall"), "errc.hpp:", "defines something internal")


os.environ.setdefault("CXX", "g++")
main()
