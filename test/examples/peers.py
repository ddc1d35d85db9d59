"""The checks of the servers, all in the same way, with clients that reset."""

import contextlib
import dataclasses
import os
import pathlib
import random
import re
import signal
import socket
import struct

import harness
from harness import connect, expect_match, server, stop, until


@dataclasses.dataclass
class Kind:
    """A server, and how one talks to it."""

    request: bytes
    answer: bytes  # a pattern
    hello: bytes = b""  # a client begins with it; N is its number
    arguments: tuple = ()
    path: str = ""

    def words(self, number):
        return self.hello.replace(b"N", b"%d" % number) + self.request

    @contextlib.contextmanager
    def running(self, *options, **more):
        harness.program = self.path
        with server(*self.arguments, *options, **more) as started:
            yield started


KINDS = {
    "echo_server": Kind(b"hello\n", rb"hello\n"),
    "kv_server": Kind(b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n", rb"\$5\r\nhello\r\n"),
    "http_server": Kind(
        b"GET /api/status HTTP/1.1\r\nHost: here\r\n\r\n",
        rb"HTTP/1.1 200 .*}\n",
        arguments=("--root", pathlib.Path(__file__).parent),
    ),
    "chat_server": Kind(
        b"/who\n",
        rb".*\* here: [^\n]*\n.*",
        hello=b"guestN\n",
        arguments=("--when-slow", "skip"),
    ),
    "port_forward": Kind(b"hello\n", rb"hello\n"),  # to an echo_server
}


class Client:
    def __init__(self, kind, address, number):
        self.kind = kind
        self.socket = connect(address)
        self.socket.sendall(kind.hello.replace(b"N", b"%d" % number))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def gets(self, request, answer, when):
        self.socket.sendall(request)
        data = b""
        while not re.fullmatch(answer, data, re.DOTALL) and (more := self.socket.recv(1 << 16)):
            data += more
        expect_match(f"{self.kind.path}: an answer {when}", data.decode(), answer.decode())

    def is_served(self, when):
        self.gets(self.kind.request, self.kind.answer, when)


def reset(client):
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def held(process):
    """How many connections, files and pipes it has open. (Of other things its loops may come to have more.)"""
    count = 0
    for descriptor in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += not os.readlink(descriptor).startswith("anon_inode:")
    return count


def summary(clients):
    return rf".*\b{clients} (connections|members)\b.*, cut off 0\n"


def clients_that_reset(kind):
    """So many of them, each somewhere in its request; nothing is held for them afterwards."""
    number, chance = 200, random.Random(6)
    with kind.running() as (process, address):
        with Client(kind, address, 0) as other:
            other.is_served("before others reset")
            before = held(process)
            for n in range(number):
                words = kind.words(n + 2)
                client = connect(address)
                client.sendall(words[: chance.randrange(len(words))])
                reset(client)
            with Client(kind, address, 1) as last:  # when it is accepted, so have been those before it
                last.is_served("after others reset")
            until(f"{kind.path} to let go of those who reset", lambda: held(process) == before)
            other.is_served("after others reset")
        stop(process, signal.SIGINT, summary(number + 2))


def check_peers():
    programs = [harness.program, *harness.arguments]
    kinds = [dataclasses.replace(KINDS[pathlib.Path(path).name], path=path) for path in programs]
    with contextlib.ExitStack() as stack:
        target = next(kind for kind in kinds if kind.path.endswith("echo_server"))
        _, (host, port) = stack.enter_context(target.running())
        for kind in kinds:
            if kind.path.endswith("port_forward"):
                kind.arguments = ("--to", f"{host}:{port}")
        for kind in kinds:
            clients_that_reset(kind)
