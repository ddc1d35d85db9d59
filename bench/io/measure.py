#!/usr/bin/env python3
"""Compares I/O with levada to the same straight on liburing, with the flags that levada uses, and to plain system calls.

  read             4 KiB at random places of a file that the page cache has
  read, 32         the same, 32 at a time (plain: a loop)
  read, timeout    one at a time, each beside a timeout of a second: with_timeout, a linked timeout (plain: without)
  message          64 bytes back and forth over a socketpair, between two tasks (plain: one thread plays both)
  message, timeout each read beside a timeout of a second: with_timeout and select, a linked timeout, SO_RCVTIMEO
  accept           TCP connections over loopback that the server closes at once (plain: accept4; the ring: a multishot)

BUILD is a build folder with -Dbenchmarks=enabled. Every round runs everything in turns, each in a process of its own on
one CPU; the client of the accepts, which is the same for all, has another. Prints medians: ns a read; connections a
second, and a second of the server's processor time. Ratios are to the ring in the same round.

Exit status: 0 done, 1 a program failed, 2 usage, or BUILD has not got the programs.
"""

import argparse
import os
import pathlib
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

READS = 320_000
PAGES = 16_384
# What stands in the table, and what it runs; the ring first.
CASES = {
    "read": {"ring": "ring read", "levada": "levada read", "plain": "plain read"},
    "read, 32": {"ring": "ring read-32", "levada": "levada read-32", "plain": "plain read"},
    "read, timeout": {"ring": "ring read-timeout", "levada": "levada read-timeout", "plain": "plain read"},
    "message": {"ring": "ring message", "levada": "levada message", "plain": "plain message"},
    "message, timeout": {"ring": "ring message-timeout", "levada": "levada message-timeout",
                         "levada, select": "levada message-select", "plain": "plain message-timeout"},
    "accept": {"ring": "ring accept", "levada": "levada accept", "plain": "plain accept"},
}
CPUS = sorted(os.sched_getaffinity(0))


def positive(kind):
    def read(text):
        value = kind(text)
        if not 0 < value <= 1000:
            raise ValueError
        return value
    read.__name__ = "number above 0"
    return read


def say(text):
    print(text, file=sys.stderr, flush=True)


def start(cpu, *command):
    environment = dict(os.environ, LEVADA_LOOPS="1")
    return subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True, env=environment,
                            preexec_fn=lambda: os.sched_setaffinity(0, [cpu]))


def output(process):
    out, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(process.args)}: failed with {process.returncode}")
    return out


def make_pages(file):
    for number in range(PAGES):
        file.write(struct.pack("=Q", number) + bytes(4096 - 8))
    file.flush()
    os.fsync(file.fileno())


def read(folder, program, case, pages, given):
    reads = max(32, int(READS * given.scale) // 32 * 32)
    wall, cpu = output(start(CPUS[-1], folder / f"io_{program}", case, reads, pages)).split()
    return [int(cpu if given.clock == "cpu" else wall) / reads]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def cpu_seconds(pid):
    return time.clock_gettime((~pid << 3) | 2)  # clock_getcpuclockid(): in ns, where /proc/PID/stat has 10 ms


def accept(folder, program, given):
    port = free_port()
    with start(CPUS[0], folder / f"io_{program}", "accept", port) as server:
        try:
            if server.stdout.readline() != "listening\n":
                sys.exit(f"io_{program} does not listen")
            before = cpu_seconds(server.pid)
            rate = float(output(start(CPUS[-1], folder / "io_plain", "connect", port, given.seconds)))
            used = cpu_seconds(server.pid) - before
        finally:
            server.kill()
    return [rate, rate * 1.2 * given.seconds / used]  # the client warms up for a fifth


def table(got, cases, figures):
    lines = ["| case | program | " + " | ".join(f"{f} | ratio" for f in figures) + " |",
             "|---|---|" + "---:|" * (2 * len(figures))]
    for case in cases:
        for row, rounds in got[case].items():
            cells = [case, row]
            for i in range(len(figures)):
                cells.append(f"{statistics.median(r[i] for r in rounds):,.0f}")
                cells.append(f"{statistics.median(r[i] / ring[i] for r, ring in zip(rounds, got[case]['ring'])):.2f}")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, metavar="BUILD")
    parser.add_argument("--rounds", type=positive(int), default=5, metavar="N", help="how often everything runs (5)")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="only cases whose name contains it")
    parser.add_argument("--scale", type=positive(float), default=1.0, metavar="X", help="multiplies the reads (1)")
    parser.add_argument("--seconds", type=positive(float), default=1.5, metavar="S", help="of accepting (1.5)")
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall",
                        help="of the reads: the time that passes, or the processor time (wall)")
    parser.add_argument("--output", type=pathlib.Path, metavar="FILE", help="the tables, also")
    given = parser.parse_args()
    folder = given.build.resolve() / "bench/io"
    for program in ("ring", "levada", "plain"):
        if not (folder / f"io_{program}").exists():
            parser.error(f"there is no {folder}/io_{program}: meson setup {given.build} -Dbenchmarks=enabled, and ninja")
    cases = [c for c in CASES if given.only in c]
    if not cases:
        parser.error(f'no case has "{given.only}" in its name')

    got = {c: {row: [] for row in CASES[c]} for c in cases}
    with tempfile.NamedTemporaryFile(dir=folder, prefix="pages-") as pages:
        if cases != ["accept"]:
            make_pages(pages)
        for number in range(given.rounds):
            for case in cases:
                for row, what in CASES[case].items():
                    program, name = what.split()
                    figures = accept(folder, program, given) if case == "accept" else read(folder, program, name,
                                                                                           pages.name, given)
                    got[case][row].append(figures)
                    say(f"{case}, round {number + 1}, {row}: {figures[0]:,.0f}")
    tables = []
    if reads := [c for c in cases if c != "accept"]:
        tables.append(table(got, reads, ["ns a read"]))
    if "accept" in cases:
        tables.append(table(got, ["accept"], ["connections/s", "connections/CPU s"]))
    print("\n".join(tables), end="")
    if given.output:
        given.output.write_text("\n".join(tables), encoding="utf-8")


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
