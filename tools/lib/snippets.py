"""The blocks of C++ in README.md and docs/: what to compile, and what to run.

A block stands between ```cpp and ```. Each page is one file of source: every block has a namespace of its own, in which
the names of those before it are known too. A comment before a block says what it needs:

    <!-- from FILE -->       it is a part of FILE, which is compiled; see the check `quotes`
    <!-- in a function -->   statements, not declarations
    <!-- with PACKAGE -->    what pkg-config knows by this name, glib-2.0 say; left out where it is not there
"""

import dataclasses
import re

BLOCK = re.compile(r"^(?:<!-- (from|in a function|with) ?(\S*) -->\n)?```cpp\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRELUDE = """#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <levada/levada.hpp>
#include <levada/testing.hpp>
#include <levada/tls/tls.hpp>

using namespace levada;
using namespace std::chrono_literals;
"""


@dataclasses.dataclass
class Block:
    line: int  # of its first line of code
    how: str
    what: str
    code: str

    @property
    def prints(self):
        """What a program prints, by the comment behind its main: `// prints: 4 8`; None if it is no program."""
        found = re.search(r"^int main\(.*// prints: (.*)$", self.code, re.MULTILINE)
        return found[1] if found else None


def blocks(text):
    for found in BLOCK.finditer(text):
        if found[1] != "from":
            yield Block(text.count("\n", 0, found.start(3)) + 1, found[1] or "", found[2], found[3])


def source(name, parts):
    """One file of source of a page's blocks, whose lines the compiler counts as the page does."""
    out, before = [PRELUDE], ""
    for number, block in enumerate(parts):
        lines = block.code.splitlines()
        out += [line for line in lines if line.startswith("#include")]
        lines = ["" if line.startswith("#include") else line for line in lines]
        out += [f"namespace snippet_{number} {{ {before}"]
        if block.how == "in a function":
            out += ["inline void in_a_function() {"]
        out += [f'#line {block.line} "{name}"', *lines, "}" * (2 if block.how == "in a function" else 1)]
        before = f"using namespace snippet_{number};"
    return "\n".join(out) + "\n"
