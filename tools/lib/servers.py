"""The example servers beside those that one would take instead: `tools/bench --servers`.

Each server runs on one CPU, and the client on another; a round runs all of them in turns. A ratio is the median of the ratios
of the rounds, since two runs one after the other have the same machine. Where the client takes as much of its CPU as the server,
or more, requests a second say how fast the client is: then the CPU time a request is what compares the servers.
"""

import contextlib
import csv
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

PATIENCE = 120  # seconds for a run

SHOWN = {"kv_server": "kv_server", "redis-server": "Redis", "http_server": "http_server", "nginx": "nginx"}


def cpu_seconds(pid):
    """Of a process and its children, which nginx has."""
    total = 0
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    for one in (str(pid), *children):
        fields = pathlib.Path(f"/proc/{one}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def on_cpu(cpu):
    return lambda: os.sched_setaffinity(0, {cpu})


@contextlib.contextmanager
def running(command, port, cpu):
    """A server on that CPU, as soon as it listens."""
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env=os.environ | {"LEVADA_LOOPS": "1"}, preexec_fn=on_cpu(cpu)) as process:
        try:
            deadline = time.monotonic() + 10
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.exit(f"{command[0]} does not listen on port {port}")
                time.sleep(0.02)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)


def client(command, cpu):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=PATIENCE,
                          preexec_fn=on_cpu(cpu)).stdout


def clients_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)  # of those that have ended
    return used.ru_utime + used.ru_stime


def measured(process, requests_of, *run):
    """Requests a second, and microseconds of the server's CPU for each, and of the client's."""
    before, clients_before = cpu_seconds(process.pid), clients_seconds()
    requests, rate = requests_of(*run)
    used, clients_used = cpu_seconds(process.pid) - before, clients_seconds() - clients_before
    return rate, used / requests * 1e6, clients_used / requests * 1e6


# kv_server and Redis, by redis-benchmark

KV_CASES = [(depth, keys) for depth in (1, 16) for keys in (1, 100_000)]


def redis_benchmark(port, cpu, test, depth, keys, count):
    many = [] if keys == 1 else ["-r", keys]
    out = client(["redis-benchmark", "-p", port, "-t", test, "-c", 50, "-P", depth, "-n", count, "--csv", *many], cpu)
    return count, float(list(csv.reader(out.splitlines()))[-1][1])


def kv_round(build, cpus, scale, found):
    commands = {
        "kv_server": lambda port: [build / "examples/kv_server", "--port", port],
        "redis-server": lambda port: ["redis-server", "--port", port, "--save", "", "--appendonly", "no"],
    }
    for depth, keys in KV_CASES:
        count = max(int((250_000 if depth == 1 else 2_000_000) * scale), 1000)
        for name, command in commands.items():
            port = free_port()
            with running(command(port), port, cpus[0]) as process:
                redis_benchmark(port, cpus[1], "set", 16, keys, 2 * count // 5)  # all keys are there
                for test in ("set", "get"):
                    figures = measured(process, redis_benchmark, port, cpus[1], test, depth, keys, count)
                    case = f"{test.upper()}, {depth} in flight, {keys:,} key{'s' if keys > 1 else ''}"
                    found.setdefault(case, {}).setdefault(name, []).append(figures)


# http_server and nginx, by wrk

NGINX = """worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
        fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
        server {{ listen 127.0.0.1:{port}; root {folder}/www; }} }}
"""


def wrk(port, cpu, seconds):
    out = client(["wrk", "-t", 1, "-c", 64, "-d", f"{seconds}s", f"http://127.0.0.1:{port}/file"], cpu)
    return int(re.search(r"(\d+) requests in", out)[1]), float(re.search(r"Requests/sec:\s*([\d.]+)", out)[1])


def http_round(build, cpus, scale, found):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        (folder / "www").mkdir()
        (folder / "www/file").write_bytes(b"x" * 800)
        for server in ("http_server", "nginx"):
            port = free_port()
            if server == "nginx":
                (folder / "conf").write_text(NGINX.format(folder=folder, port=port), encoding="ascii")
                command = ["nginx", "-c", folder / "conf"]
            else:
                command = [build / "examples/http_server", "--port", port, "--root", folder / "www"]
            with running(command, port, cpus[0]) as process:
                wrk(port, cpus[1], 1)
                figures = measured(process, wrk, port, cpus[1], max(1, round(3 * scale)))
                found.setdefault("a file of 800 bytes, 64 connections", {}).setdefault(server, []).append(figures)


def rows(found):
    yield "| case | server | requests/s | ratio | CPU, µs a request | ratio | the client's CPU |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for case, servers in found.items():
        ours, theirs = servers.values()
        for name, figures in servers.items():
            line = [case, SHOWN[name]]
            for i in (0, 1):
                line.append(f"{statistics.median(f[i] for f in figures):,.{0 if i == 0 else 2}f}")
                ratios = sorted(a[i] / b[i] for a, b in zip(ours, theirs))
                line.append("1" if figures is theirs else
                            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
            line.append(f"{statistics.median(f[2] for f in figures):.2f}")
            yield "| " + " | ".join(line) + " |"


def version(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[0]


def measure(build, rounds, scale, say):
    """Gives the facts of the rivals, a table, and what was left out."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < 2:
        sys.exit("tools/bench: the servers need two CPUs, one of them for the client")
    cpus = cpus[-2:]
    left_out, parts, facts = [], [], {}
    if shutil.which("redis-server") and shutil.which("redis-benchmark"):
        parts.append(kv_round)
        facts["Redis"] = version("redis-server", "--version")
    else:
        left_out.append("Left out: kv_server, for want of redis-server and redis-benchmark.")
    if shutil.which("nginx") and shutil.which("wrk") and (build / "examples/http_server").exists():
        parts.append(http_round)
        facts["nginx"] = version("nginx", "-v")
    else:
        left_out.append("Left out: http_server, for want of nginx or wrk.")
    found = {}
    for number in range(rounds):
        for part in parts:
            say(f"round {number + 1} of {rounds}: {part.__name__.removesuffix('_round')}")
            part(build, cpus, scale, found)
    return facts, "\n".join(rows(found)), left_out
