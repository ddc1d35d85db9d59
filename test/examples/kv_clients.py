"""kv_server with real clients: those that are installed. The others are named as skipped."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

import harness
from harness import PATIENCE, expect, server, stop

CLIENTS = pathlib.Path(__file__).parent / "clients"


def python_with(module):
    for python in (sys.executable, "/usr/bin/python3"):
        if shutil.which(python) and run(python, "-c", f"import {module}").returncode == 0:
            return python
    return None


def node_path_with(package):
    """Where node finds a package: in NODE_PATH, among npm's or the system's."""
    if not shutil.which("node"):
        return None
    installed = run("npm", "root", "-g").stdout.strip() if shutil.which("npm") else ""
    for path in (os.environ.get("NODE_PATH", ""), installed, "/usr/share/nodejs"):
        if run("node", "-e", f"require('{package}')", env=os.environ | {"NODE_PATH": path}).returncode == 0:
            return path
    return None


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, **options)


def expect_well(name, *command, **options):
    done = run(*command, **options)
    expect(name, (done.stdout + done.stderr, done.returncode), ("ok\n", 0))


def languages(port):
    if python := python_with("redis"):
        expect_well("redis-py", python, CLIENTS / "redis_py.py", port)
    else:
        print("skipped: redis-py (Debian: python3-redis)")
    for package, script in (("ioredis", "ioredis.js"), ("redis", "node_redis.js")):
        if (path := node_path_with(package)) is not None:
            expect_well(script, "node", CLIENTS / script, port, env=os.environ | {"NODE_PATH": path})
        else:
            print(f"skipped: {script} (npm install -g {package})")


def check():
    with server() as (process, address):
        port = str(address[1])
        if shutil.which("redis-cli"):
            for words, wanted in [("set greeting hello", "OK\n"), ("get greeting", "hello\n"), ("incr n", "1\n")]:
                done = subprocess.run(
                    ["redis-cli", "-p", port, *words.split()], capture_output=True, text=True, timeout=PATIENCE, check=False
                )
                expect(f"redis-cli {words}", done.stdout, wanted)
        else:
            print("skipped: redis-cli (Debian: redis-tools)")
        if shutil.which("redis-benchmark"):
            for depth in ("1", "16"):
                done = subprocess.run(
                    ["redis-benchmark", "-p", port, "-t", "ping,set,get,incr,mset", "-n", "2000", "-c", "20", "-P", depth, "-q"],
                    capture_output=True, text=True, timeout=PATIENCE, check=False,
                )
                expect("redis-benchmark", done.returncode, 0)
                expect("its results", done.stdout.count("requests per second"), 6)
        else:
            print("skipped: redis-benchmark (Debian: redis-tools)")
        languages(port)
        for client in harness.arguments:
            done = subprocess.run([client, port], capture_output=True, text=True, timeout=PATIENCE, check=False)
            expect("hiredis", (done.stderr, done.returncode), ("", 0))
        stop(process, signal.SIGTERM, r"served \d+ connections, cut off 0\n")


