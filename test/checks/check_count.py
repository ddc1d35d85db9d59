#!/usr/bin/env python3
"""check_count.py: tools/lib/count_tests.py counts what ran, and names what was left out."""

import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALL_PASSED = "All tests passed (9 assertions in 3 test cases)\n"
SOME_FAILED = "test cases:  5 |  2 passed | 1 failed | 2 skipped\n"
# (results and what they print, what is not built, the last line, the exit status)
TABLE = [
    ([("OK", ALL_PASSED), ("OK", "")], "", "4 passed, 0 failed", 0),
    ([("OK", ALL_PASSED), ("FAIL", SOME_FAILED)], "", "5 passed, 1 failed, 2 skipped", 1),
    ([("OK", ALL_PASSED), ("TIMEOUT", "")], "", "3 passed, 1 failed", 1),
    ([("EXPECTEDFAIL", "")], "in_glib (glib-2.0 is missing)", "1 passed, 0 failed; left out: in_glib (glib-2.0 is missing)", 0),
    ([("OK", "skipped: ab (Debian: apache2-utils)\n"), ("OK", "x\nskipped: ab (Debian: apache2-utils)\nskipped: redis-py (Debian: python3-redis)\n")], "",
     "2 passed, 0 failed; left out: ab (Debian: apache2-utils), redis-py (Debian: python3-redis)", 0),
    ([("SKIP", "")], "", "0 passed, 0 failed, 1 skipped", 0),
    ([], "", "0 passed, 0 failed", 4),
]


def main():
    for results, left_out, wanted, status in TABLE:
        with tempfile.TemporaryDirectory() as folder:
            build = pathlib.Path(folder)
            (build / "meson-logs").mkdir()
            lines = [json.dumps({"result": result, "stdout": said}) for result, said in results]
            (build / "meson-logs/testlog.json").write_text("\n".join(lines), encoding="utf-8")
            (build / "left_out.txt").write_text(left_out + "\n", encoding="utf-8")
            done = subprocess.run([sys.executable, ROOT / "tools/lib/count_tests.py", build], stdout=subprocess.PIPE, text=True, check=False)
            if (done.stdout.strip(), done.returncode) != (wanted, status):
                sys.exit(f"`{done.stdout.strip()}`, {done.returncode}, and not `{wanted}`, {status}")


main()
