#!/usr/bin/env python3
"""idle.py BUILD [--connections N]

How much of a server's memory (resident set) an idle connection holds, for the example servers of BUILD (a build folder
with -Dexamples=enabled): each connection has had an answer, and stays. On one loop. The limit of descriptors bounds N.

Exit status: 0 done, 1 a server did not start or answer, 2 usage.
"""

import argparse
import contextlib
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import tempfile

GET = b"GET /file HTTP/1.1\r\nHost: here\r\n\r\n"
SET_AND_GET = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
CASES = [
    ("echo_server", "64 bytes", b"x" * 64, 64),
    ("http_server", "a file of 800 bytes", GET, 800),
    ("kv_server", "PING", b"*1\r\n$4\r\nPING\r\n", 7),
    ("kv_server", "SET and GET", SET_AND_GET, 12),
]


def resident(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return 1024 * int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def measure(server, options, request, answer, connections):
    environment = dict(os.environ, LEVADA_LOOPS="1")
    command = [server, "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process, contextlib.ExitStack() as open_:
        try:
            port = int(process.stdout.readline().rsplit(":", 1)[1])

            def connect(count):
                for _ in range(count):
                    client = open_.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
                    client.sendall(request)
                    got = 0
                    while got < answer:
                        got += len(client.recv(65536)) or sys.exit(f"{server} hung up")

            connect(200)  # what the server needs once
            before = resident(process.pid)
            connect(connections)
            return (resident(process.pid) - before) / connections
        finally:
            process.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--connections", type=int, default=10000)
    given = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if given.connections + 300 > most:
        sys.exit(f"the limit of descriptors here is {most}: ask for fewer connections, or raise it (ulimit -n)")
    folder = given.build.resolve() / "examples"
    with tempfile.TemporaryDirectory() as root:
        pathlib.Path(root, "file").write_bytes(b"x" * 800)
        for name, what, request, answer in CASES:
            if not (folder / name).exists():
                print(f"left out: {name} (not built)", file=sys.stderr)
                continue
            options = ["--root", root] if name == "http_server" else []
            held = measure(folder / name, options, request, answer, given.connections)
            print(f"{name}, after {what}: {held:.0f} bytes")


if __name__ == "__main__":
    main()
