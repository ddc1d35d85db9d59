#!/usr/bin/env python3
"""measure.py BUILD [--rounds N] [--seconds S] [--output FILE]

Compares echo servers over loopback: levada, one straight on liburing, Go's net, Boost.Asio and tokio, as far as BUILD (a
build folder with -Dbenchmarks=enabled) has them. Each server on CPU 0, one common client on CPU 1; every round runs all of
them in turns. Prints medians of requests a second, and of requests a second of the server's processor time, and their
ratios to the raw ring's of the same round.

Over loopback the kernel's TCP is nearly all of the cost, and good servers lie within a tenth of each other: what this
shows is that the library adds nothing.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

CASES = [(1, 64), (64, 64), (1024, 64), (64, 16384)]
SERVERS = ["ring", "levada", "go", "asio", "tokio"]


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(folder, name, port, connections, size, seconds):
    environment = dict(os.environ, GOMAXPROCS="1", LEVADA_LOOPS="1")
    with subprocess.Popen(["taskset", "-c", "0", folder / f"echo_{name}", str(port)], stdout=subprocess.PIPE, text=True,
                          env=environment) as server:
        try:
            if server.stdout.readline() != "listening\n":
                sys.exit(f"echo_{name} does not listen")
            before = cpu_seconds(server.pid)
            done = subprocess.run(["taskset", "-c", "1", folder / "echo_client", str(port), str(connections), str(size),
                                   str(seconds)], capture_output=True, text=True, check=True, timeout=60 + 3 * seconds)
            used = cpu_seconds(server.pid) - before
        finally:
            server.kill()
    rate = float(done.stdout)
    return rate, rate * 1.2 * seconds / used  # the client warms up for a fifth


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--output", type=pathlib.Path)
    given = parser.parse_args()
    folder = given.build.resolve() / "bench/echo"
    there = [s for s in SERVERS if (folder / f"echo_{s}").exists()]
    for missing in set(SERVERS) - set(there):
        print(f"left out: {missing} (not built)", file=sys.stderr)
    lines = ["| connections, bytes | server | requests/s | ratio to the ring | requests/CPU s | ratio |",
             "|---|---|---:|---:|---:|---:|"]
    port = 17000
    for connections, size in CASES:
        got = {s: [] for s in there}
        for number in range(given.rounds):
            for s in there:
                port += 1
                got[s].append(run(folder, s, port, connections, size, given.seconds))
                print(f"{connections} x {size}, round {number + 1}, {s}: {got[s][-1][0]:.0f}", file=sys.stderr)
        for s in there:
            row = [f"{connections}, {size}", s]
            for i in (0, 1):
                row.append(f"{statistics.median(r[i] for r in got[s]):,.0f}")
                ratios = [r[i] / base[i] for r, base in zip(got[s], got["ring"])]
                row.append(f"{statistics.median(ratios):.2f}")
            lines.append("| " + " | ".join(row) + " |")
    table = "\n".join(lines) + "\n"
    print(table, end="")
    if given.output:
        given.output.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
