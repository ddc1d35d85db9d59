#!/usr/bin/env python3
"""How late a task runs that something has woken, beside tasks that always compute; ours and Go's, in turns.

  heartbeat   a sleep of 1 ms
  echo        a message from another process
  cancel      from the cancel of a task that waits to its end
  limit       a limit of 1 ms around a task that computes

BUILD is a build folder with -Dbenchmarks=enabled. Each run is a process of its own, on one CPU with one loop, or on two
with two. Prints a table: p50, p99, p99.9 and the worst, in microseconds, each the median of the rounds.

Exit status: 0 done, 1 a program failed, 2 usage, or BUILD has not got the programs.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

CASES = ("heartbeat", "echo", "cancel", "limit")
CPUS = sorted(os.sched_getaffinity(0))


def numbers(text):
    found = [int(n) for n in text.split(",")]
    if not found or min(found) < 0:
        raise ValueError
    return found


def run(program, case, busy, step, ms, loops):
    environment = dict(os.environ, LEVADA_LOOPS=str(loops), GOMAXPROCS=str(loops))
    try:
        out = subprocess.run(
            [program, case, str(busy), str(step), str(ms)], env=environment, capture_output=True, text=True,
            timeout=60 + ms / 100, preexec_fn=lambda: os.sched_setaffinity(0, CPUS[:loops]))
    except subprocess.TimeoutExpired:
        sys.exit(f"measure.py: {program} {case} {busy} {step} did not end")
    if out.returncode != 0:
        sys.exit(f"measure.py: {program} {case} {busy} {step} failed: {out.stderr.strip()}")
    return [float(n) for n in out.stdout.split()]


def main():
    parser = argparse.ArgumentParser(prog="bench/latency/measure.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path, metavar="BUILD")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(3)")
    parser.add_argument("--ms", type=int, default=2000, metavar="N", help="how long a run takes (2000)")
    parser.add_argument("--busy", type=numbers, default=[1, 10, 100], metavar="LIST", help="busy tasks (1,10,100)")
    parser.add_argument("--steps", type=numbers, default=[1, 100, 1000, 10000], metavar="LIST",
                        help="what they compute between two operations, in us (1,100,1000,10000)")
    parser.add_argument("--cases", default=",".join(CASES), metavar="LIST", help=f"({','.join(CASES)})")
    how = parser.parse_args()
    folder = how.build / "bench/latency"
    programs = {"levada": folder / "latency_levada", "Go": folder / "latency_go"}
    if not programs["levada"].exists():
        print(f"measure.py: {folder} has no latency_levada: meson setup {how.build} -Dbenchmarks=enabled",
              file=sys.stderr)
        return 2
    programs = {name: path for name, path in programs.items() if path.exists()}

    print("| case | busy | step | loops |", " | ".join(f"{n} p50 | p99 | p99.9 | worst" for n in programs), "|")
    print("|---|---:|---:|---:|" + "---:|" * 4 * len(programs))
    for loops in (1, 2)[:len(CPUS)]:
        for case in how.cases.split(","):
            for busy in how.busy:
                for step in how.steps:
                    found = {name: [] for name in programs}
                    for _ in range(how.rounds):
                        for name, path in programs.items():
                            found[name].append(run(path, case, busy, step, how.ms, loops))
                    columns = []
                    for name in programs:
                        runs = [r for r in found[name] if len(r) == 5]
                        columns += [f"{statistics.median(r[i] for r in runs):.0f}" if runs else "-"
                                    for i in range(1, 5)]
                    print(f"| {case} | {busy} | {step} | {loops} | " + " | ".join(columns) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
