#!/usr/bin/env python3
"""check.py SCRIPT PROGRAM SOURCE: the gdb script on a core file of PROGRAM, and on the process itself.

Exit status 77: there is no gdb with Python, or it may not trace processes here.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PATIENCE = 240  # seconds; gdb is slow under load

script, program, source = sys.argv[1:]
failures = 0


def gdb(*args):
    command = ["gdb", "-nx", "-batch", *args]
    # The sanitizers' own handlers would take the abort away from gdb.
    environment = {**os.environ, "LEVADA_LOOPS": "1", "DEBUGINFOD_URLS": ""}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment, errors="replace")


def skip(why):
    print(f"skipped: {why}")
    sys.exit(77)


def expect(what, text, pattern):
    global failures
    if re.search(pattern, text, re.MULTILINE):
        return
    failures += 1
    print(f"FAILED: {what}\n  wanted: {pattern}\n  got:\n{text}")


def check(text):
    lines = enumerate(pathlib.Path(source).read_text().splitlines(), 1)
    at = {line.split("// here: ")[1]: rf"\S*target\.cpp:{n}" for n, line in lines if "// here: " in line}
    task = r"^task 0x[0-9a-f]+ "
    expect("the named task", text, rf'{task}"the receiver" started at {at["start"]}, waits for recv_op<int> on a rendezvous'
           rf" channel made at {at['channels']} \(1 receiving, 0 sending\)(, for \d+ ms)?$")
    expect("its frames", text, rf"waits for recv_op<int>.*\n    at {at['inner']} in .*inner.*\n    at {at['outer']} in .*outer.*$")
    expect("the sender", text, rf"waits for send(_value)?_op<int> on a channel of 3 made at {at['channels']}"
           r" \(3 buffered, 0 receiving, 1 sending\)")
    expect("the group", text, r"^  a region whose tasks its own task waits for:\n    at \S*target\.cpp:\d+ in .*has_group")
    expect("the task with the group", text, rf"{task}started at .*, waits for the tasks of its group$")
    expect("the group's task", text, r"waits for send(_value)?_op<int> on a rendezvous channel made at ")
    expect("the select", text, r"waits for select_op<")
    expect("the mutex", text, r"waits for mutex_op")
    expect("the main task", text, rf"{task}started at .*, runs or is ready to$")
    expect("the count", text, r"^7 tasks$")


if not shutil.which("gdb"):
    skip("gdb is not installed")
if "yes" not in gdb("-ex", "python print('yes')").stdout:
    skip("this gdb has no Python")

with tempfile.TemporaryDirectory() as folder:
    core = pathlib.Path(folder) / "core"
    live = gdb("-x", script, "-ex", "run", "-ex", "levada-tasks", "-ex", f"generate-core-file {core}", program)
    if not core.exists() and re.search(r"ptrace|not permitted|Cannot create process", live.stdout + live.stderr):
        skip("processes may not be traced here")
    check(live.stdout)
    dead = gdb("-x", script, "-ex", "levada-tasks", program, str(core))
    if failures == 0:
        check(dead.stdout)
    if failures:
        print(live.stderr, dead.stderr)

none = gdb("-x", script, "-ex", "levada-tasks", "/bin/true")
expect("a program without levada", none.stderr, "this program has no levada")
wrong = gdb("-x", script, "-ex", "levada-tasks 1", program)
expect("an argument", wrong.stderr, "levada-tasks takes no arguments")
early = gdb("-x", script, "-ex", "levada-tasks", program)
expect("a program that has not begun", early.stderr, "the program has not begun")

sys.exit(failures != 0)
