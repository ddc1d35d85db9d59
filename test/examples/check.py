#!/usr/bin/env python3
"""check.py NAME PROGRAM [HELPER...]: runs an example and compares what it does with what it says it does."""

import collections
import contextlib
import errno
import json
import os
import pathlib
import pty
import random
import re
import select
import signal
import subprocess
import sys
import tempfile
import threading

import chat
import forwarding
import harness
import kv
import peers
import servers
import web
from harness import expect, expect_match, helps, PATIENCE, prints, refuses, run, started, until

# The small ones


def check_hello_channel():
    prints("hello,\nchannel\n")


def check_select_timeout():
    prints("the answer of fast\nslow took too long\nsilent: timed out\n")


def check_worker_pool():
    prints("".join(f"result {2 * job}\n" for job in range(1, 6)))


def check_fan_out():
    lines = [f"{n} squared is {n * n}" for n in range(1, 6)]
    prints("\n".join(lines) + f"\n{sum(map(len, lines))} letters in all\n")


def check_pipeline():
    squares = "".join(f"{n * n} " for n in range(1, 11))
    prints(f"{squares}\none square, and that is enough\nall stages have ended\n")


def check_in_asio():
    prints("hello!\nasio!\n")


def check_in_glib():
    prints("tick 1\ntick 2\ntick 3\n")


def check_in_epoll():
    prints("task: 1\ntask: 2\ntask: 3\ndone\n")


def check_guest_ring():
    prints("own operation: 1\ntask: 1\ntask: 2\ntask: 3\ndone\n")


def check_prime_sieve():
    primes = [n for n in range(2, 1000) if all(n % d for d in range(2, n))]
    prints("".join(f"{p}\n" for p in primes[:20]))
    prints("".join(f"{p}\n" for p in primes[:100]), 100)
    prints("", 0)
    helps()
    refuses(2, "Usage", "many")
    refuses(2, "Usage", "-1")
    refuses(2, "Usage", "1", "2")


def check_cancel_tree():
    aborted = os.strerror(errno.ECONNABORTED)
    prints(
        "impatient begins\n"
        "impatient.child begins\n"
        "impatient.child.child begins\n"
        "impatient.child.child is unwound\n"
        "impatient.child is unwound\n"
        "impatient is unwound\n"
        "with_token gave: timed out\n"
        "impatient: timed out\n"
        "server: not cancelled\n"
        "patient begins\n"
        "patient.child begins\n"
        "patient.child is unwound\n"
        "patient is unwound\n"
        f"with_token gave: {aborted}\n"
        f"patient: {aborted}\n"
        f"part of patient: {aborted}\n"
        "impatient: timed out\n"
        "joined: yes\n"
    )


# word_count

SUMMARY = (
    r"(partial: )?(\d+) files, (\d+) bytes, \d+\.\d{3} s, \d+\.\d MB/s, (\d+) words, (\d+) different, (\d+) unreadable"
)


def make_tree(root):
    """Some hundred files with all that may go wrong in them; all but the links hold words to be counted."""
    chance = random.Random(2024)
    alphabet = [bytes(chance.choices(b"abcdeXYZ", k=chance.randint(1, 6))) for _ in range(3000)]
    between = [b" ", b"\n", b", ", b"42", b"_", b"'", b"\x00", b"\xc3\xa9", b"\xff\xfe", b"@[`{"]

    def text(words):
        both = zip(chance.choices(alphabet, k=words), chance.choices(between, k=words))
        return b"".join(map(b"".join, both))

    files = {f"dir{i % 7}/sub {i % 3}/file{i}.txt": text(chance.randint(1, 300)) for i in range(300)}
    files["a/" * 40 + "deep"] = text(10)
    files["empty"] = b""
    files[".hidden/empty too"] = b""
    files["no words"] = b"1234 \x00\x01\xff\n" * 100
    files["binary"] = chance.randbytes(100_000)
    files["big"] = text(1_000_000)
    files["one word"] = b"Word" * 50_000
    files["no newline"] = b"end"
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "empty dir").mkdir()
    (root / "not followed").symlink_to(root / "dir0")
    return files


def count_words(contents):
    counts = collections.Counter()
    for data in contents:
        counts.update(re.findall(rb"[a-z]+", data.lower()))
    return sorted(((n, w.decode()) for w, n in counts.items()), key=lambda nw: (-nw[0], nw[1]))


def check_counted(what, output, contents, top=None, unreadable=0, partial=False):
    """The output of word_count against counts of our own."""
    *lines, summary = output.splitlines() or [""]
    wanted = count_words(contents)
    got = [(int(n), word) for n, word in (line.split() for line in lines)]
    expect(f"{what}: words", got, wanted[:top])
    if found := expect_match(f"{what}: summary", summary, SUMMARY):
        expect(f"{what}: marked partial", found[1] is not None, partial)
        numbers = [len(contents), sum(map(len, contents)), sum(n for n, _ in wanted), len(wanted), unreadable]
        expect(f"{what}: files, bytes, words, different, unreadable", [int(found[i]) for i in range(2, 7)], numbers)


def word_count_counts(root):
    (root / "tree").mkdir()
    files = make_tree(root / "tree")
    contents = list(files.values())
    for workers in (1, 8):
        done = run(root / "tree", "--top", 10**9, "--workers", workers)
        check_counted(f"{workers} workers", done.stdout, contents)
        expect(f"stderr with {workers} workers, which is no terminal", done.stderr, "")
        expect(f"exit status with {workers} workers", done.returncode, 0)
    check_counted("by itself", run(root / "tree").stdout, contents, top=10)
    check_counted("--top 3", run("--top=3", root / "tree").stdout, contents, top=3)
    check_counted("--top 0", run("--top", 0, root / "tree").stdout, contents, top=0)
    both = [*contents, files["binary"], files["binary"]]
    file = root / "tree" / "binary"
    check_counted("paths that overlap", run(file, root / "tree", file, "--top", 9999).stdout, both, top=9999)
    check_counted("an empty directory", run(root / "tree" / "empty dir").stdout, [])


def word_count_unreadable(root):
    """What not even root can read: a link into /proc, where a read gives EIO, and links that form a loop."""
    (root / "some").mkdir()
    (root / "some" / "good").write_bytes(b"good words")
    (root / "some" / "memory").symlink_to("/proc/self/mem")
    (root / "loop").symlink_to(root / "loop")
    done = run(root / "some", root / "loop", "--workers", 3)
    check_counted("unreadable files", done.stdout, [b"good words"], unreadable=2)
    reasons = [
        f"word_count: {root}/loop: {os.strerror(errno.ELOOP)}",
        f"word_count: {root}/some/memory: {os.strerror(errno.EIO)}",
    ]
    expect("unreadable files are named", sorted(done.stderr.splitlines()), reasons)
    expect("unreadable files: exit status", done.returncode, 0)


def word_count_interrupted(root):
    """Ctrl-C while a read of a pipe hangs, when all else was counted: the progress line tells."""
    (root / "tree").mkdir()
    contents = list(make_tree(root / "tree").values())
    os.mkfifo(root / "pipe")
    keyboard, terminal = pty.openpty()
    shown = b""

    def show():
        nonlocal shown
        if select.select([keyboard], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):  # EIO: the other side is closed
                shown += os.read(keyboard, 65536)
        return shown

    args = [root / "tree", root / "pipe", "--top", 10**9]
    with started(*args, stdout=subprocess.PIPE, stderr=terminal) as process:
        os.close(terminal)
        output = []
        reader = threading.Thread(target=lambda: output.append(process.stdout.read()))
        reader.start()
        until("the progress line", lambda: b"\r\x1b[K%d files, " % len(contents) in show())
        process.send_signal(signal.SIGINT)
        until("the end", lambda: show() and process.poll() is not None)
        reader.join()
    while not shown.endswith(b"\r\x1b[K") and select.select([keyboard], [], [], 1)[0]:
        show()
    os.close(keyboard)
    expect("interrupted: exit status", process.returncode, 130)
    check_counted("interrupted", output[0], contents, partial=True)
    expect_match("the progress line", shown.decode(), r"(\r\x1b\[K\d+ files, \d+\.\d MB, \d+\.\d MB/s)+\r\x1b\[K")


def word_count_terminated(root):
    """The same by SIGTERM and without a terminal, while the pipe is open and something was read from it."""
    os.mkfifo(root / "pipe")
    with started(root / "pipe", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:

        def open_pipe():
            with contextlib.suppress(OSError):  # ENXIO: nobody reads it yet
                return os.open(root / "pipe", os.O_WRONLY | os.O_NONBLOCK)
            return None

        pipe = until("the pipe to be read", open_pipe)
        os.write(pipe, b"half a word")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=PATIENCE)
        os.close(pipe)
    check_counted("terminated", output, [], partial=True)
    expect("terminated: stderr", errors, "")
    expect("terminated: exit status", process.returncode, 143)


def check_word_count():
    helps()
    refuses(2, r"unknown option '--colour'; --help", "--colour", "/usr")
    refuses(2, r"unknown option '-xy'; --help", "/usr", "-xy")
    refuses(2, r"Give a PATH")
    refuses(2, r"Give a PATH", "--top", "5")
    refuses(2, r"--top needs a number", "/usr", "--top")
    refuses(2, r"--top takes a number, 0 or more, not '-1'", "/usr", "--top", "-1")
    refuses(2, r"--workers takes a number from 1 to 1024, not '0'", "/usr", "--workers", "0")
    refuses(2, r"--workers takes a number from 1 to 1024, not '1025'", "/usr", "--workers", "1025")
    refuses(2, r"--workers takes a number from 1 to 1024, not '4x'", "/usr", "--workers", "4x")
    refuses(2, r"--workers takes a number from 1 to 1024, not ''", "/usr", "--workers", "")
    refuses(2, r"there is no '/no/such/path'; give", "/usr", "/no/such/path")
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([harness.program, "/dev/null"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=PATIENCE)
    expect("output to a full disk", done.stderr, f"word_count: cannot write: {os.strerror(errno.ENOSPC)}\n")
    expect("output to a full disk: exit status", done.returncode, 1)
    for check in (word_count_counts, word_count_unreadable, word_count_interrupted, word_count_terminated):
        with tempfile.TemporaryDirectory(prefix="levada-") as root:
            check(pathlib.Path(root))


def check_timeline():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "trace.json"
        done = run(path)
        found = expect_match("stdout", done.stdout, r"sum 9900; (\d+) events in \S+\n")
        expect("exit status", done.returncode, 0)
        check_trace(json.loads(path.read_text()), int(found[1]))
    done = run("/no/such/folder/trace.json")
    expect("exit status without the folder", done.returncode, 1)
    expect_match("stderr", done.stderr, r"timeline: the trace cannot be written to /no/such/folder/trace.json: .+\n")
    expect("exit status of --help", run("--help").returncode, 0)
    expect("exit status without a file", run().returncode, 2)


def check_trace(trace, count):
    expect("dropped", trace["otherData"]["dropped"], "0")
    events = [e for e in trace["traceEvents"] if e["ph"] != "M"]
    open_runs = collections.Counter()
    last = 0
    for event in events:
        expect("times in order", event["ts"] >= last, True)
        last = event["ts"]
        if event["ph"] == "B":
            open_runs[event["tid"]] += 1
        elif event["ph"] == "E":
            open_runs[event["tid"]] -= 1
        expect("one run at a time on a thread", open_runs[event["tid"]] in (0, 1), True)
    runs = collections.Counter(e["name"] for e in events if e["ph"] == "B")
    expect("runs of the named tasks", runs["producer"] >= 1 and runs["doubler"] >= 1, True)
    waited = {e["args"].get("waited for", "") for e in events if e["ph"] == "B"}
    expect("who waited to send", any(w.startswith("send on a rendezvous channel made at ") for w in waited), True)
    marks = [e["name"] for e in events if e["ph"] == "i"]
    expect("marks of sends", sum(m.startswith("send on a ") for m in marks), 200)
    expect("marks of receives", sum(m.startswith("recv on a rendezvous") for m in marks), 101)
    expect("marks of selects", sum(m.startswith("select(recv on a channel of 4") for m in marks), 101)
    began = {e["id"] for e in events if e["ph"] == "s"}
    ended = [e["id"] for e in events if e["ph"] == "f"]
    expect("arrows", len(ended) > 0 and set(ended) <= began and len(ended) == len(set(ended)), True)
    expect("what the program counted", sum(e["ph"] in "BEis" for e in events), count)


def main():
    if len(sys.argv) < 3:
        sys.exit("Usage: check.py NAME PROGRAM [HELPER...]")
    harness.program, harness.arguments = sys.argv[2], sys.argv[3:]
    name = f"check_{sys.argv[1]}"
    modules = (sys.modules[__name__], servers, chat, kv, web, forwarding, peers)
    next(vars(m)[name] for m in modules if name in vars(m))()
    sys.exit(harness.failures != 0)


if __name__ == "__main__":
    main()
