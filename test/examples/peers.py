"""The checks of the servers, all in the same way, with clients that vanish or reset, and without descriptors."""

import array
import contextlib
import dataclasses
import errno
import os
import pathlib
import random
import re
import resource
import signal
import socket
import struct
import time

import harness
from harness import connect, expect, expect_match, read_all, read_exactly, reset, server, stop, until


@dataclasses.dataclass
class Kind:
    """A server, and how one talks to it."""

    request: bytes
    answer: bytes  # a pattern
    hello: bytes = b""  # a client begins with it; N is its number
    answer_to_half: bytes = b""  # to the first half of a hello and a request
    opens: tuple = ()  # a request for which it opens a file; the answers when it cannot, and when it can
    arguments: tuple = ()
    descriptors: int = 1  # for a client
    path: str = ""

    def words(self, number):
        return self.hello.replace(b"N", b"%d" % number) + self.request

    @contextlib.contextmanager
    def running(self, *options, **more):
        harness.program = self.path
        with server(*self.arguments, *options, **more) as started:
            yield started


STATUS, FILE = (b"GET %s HTTP/1.1\r\nHost: here\r\n\r\n" % path for path in (b"/api/status", b"/check.py"))
KINDS = {
    "echo_server": Kind(b"hello\n", rb"hello\n", answer_to_half=b"hel"),
    "kv_server": Kind(b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n", rb"\$5\r\nhello\r\n"),
    "http_server": Kind(
        STATUS,
        rb"HTTP/1.1 200 .*}\n",
        opens=(FILE, rb"HTTP/1.1 503 .*\n503 Service Unavailable\n", rb"HTTP/1.1 200 .*    main\(\)\n"),
        arguments=("--root", pathlib.Path(__file__).parent, "--header-timeout", 1),
    ),
    "chat_server": Kind(
        b"/who\n",
        rb".*\* here: [^\n]*\n.*",
        hello=b"guestN\n",
        answer_to_half=b"your name? ",
        arguments=("--when-slow", "skip"),
    ),
    "port_forward": Kind(b"hello\n", rb"hello\n", answer_to_half=b"hel", descriptors=2),  # to an echo_server
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


def vanish(client):
    """From now on it answers nothing, not even by an ACK or RST, as if its cable was out: a filter drops all that comes."""
    so_attach_filter, drop_all = 26, array.array("B", struct.pack("HBBI", 6, 0, 0, 0))
    client.setsockopt(socket.SOL_SOCKET, so_attach_filter, struct.pack("HP", 1, drop_all.buffer_info()[0]))


def held(process):
    """How many connections, files and pipes it has open. (Of other things its loops may come to have more.)"""
    count = 0
    for descriptor in pathlib.Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += not os.readlink(descriptor).startswith("anon_inode:")
    return count


def summary(clients):
    return rf".*\b{clients} (connections|members)\b.*, cut off 0\n"


def cpu_seconds(process):
    return time.clock_gettime((~process.pid << 3) | 2)  # the clock that clock_getcpuclockid(3) gives


@contextlib.contextmanager
def clients_that_vanish(kind):
    """One in the middle of a request, and an idle one. They go; one that is silent, but there, does not."""
    with kind.running("--gone", 2) as (process, address):
        with Client(kind, address, 0) as silent:
            silent.is_served("before others vanish")
            before = held(process)
            half = connect(address)
            words = kind.words(1)
            half.sendall(words[: len(words) // 2])
            expect(f"{kind.path}: to half a request", read_exactly(half, len(kind.answer_to_half)), kind.answer_to_half)
            idle = Client(kind, address, 2)
            idle.is_served("before it vanishes")
            expect(f"{kind.path}: what it holds for them", held(process), before + 2 * kind.descriptors)
            vanish(half)
            vanish(idle.socket)
            yield
            until(f"{kind.path} to let go of those who vanished", lambda: held(process) == before)
            silent.is_served("after others vanished")
            reset(half)
            reset(idle.socket)
        stop(process, signal.SIGINT, summary(3))


@contextlib.contextmanager
def target_that_vanishes(port_forward):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = "127.0.0.1:%d" % listener.getsockname()[1]
        with dataclasses.replace(port_forward, arguments=("--to", where)).running("--gone", 2) as (process, address):
            with connect(address) as client:
                target, _ = listener.accept()
                vanish(target)
                yield
                expect("a client whose target has vanished", read_all(client), b"")
                reset(target)
            stop(process, signal.SIGINT, summary(1))


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


def small(client):
    """So small buffers that hardly a packet fits into one."""
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        client.setsockopt(socket.SOL_SOCKET, option, 1)


def clients_with_small_buffers(kind):
    """What they send comes in crumbs, and they take answers in crumbs."""
    chance = random.Random(12)
    with kind.running() as (process, address):
        with Client(kind, address, 0) as first, Client(kind, address, 1) as second:
            for client in (first, second):
                small(client.socket)
            for _ in range(20):
                for client in (first, second):
                    cut = chance.randrange(len(kind.request))
                    client.socket.sendall(kind.request[:cut])
                    client.gets(kind.request[cut:], kind.answer, "in crumbs")
        stop(process, signal.SIGINT, summary(2))


def clients_that_stall(kind):
    """They send requests and read no answer. Others are served meanwhile; when they reset, nothing is held for them."""
    number, block = 20, kind.request * (65536 // len(kind.request))
    with kind.running() as (process, address):
        with Client(kind, address, 0) as other:
            other.is_served("before others stall")
            before = held(process)
            stalled = [Client(kind, address, n + 1).socket for n in range(number)]
            unsent = dict.fromkeys(stalled, block)
            for client in stalled:
                client.setblocking(False)
            for _ in range(4):  # the server goes on between the rounds, until it can answer no more
                for client in stalled:
                    with contextlib.suppress(BlockingIOError, ConnectionError):  # some servers drop them
                        while True:
                            sent = client.send(unsent[client])
                            unsent[client] = unsent[client][sent:] or block
                other.is_served("while others stall")
            for client in stalled:
                reset(client)
            until(f"{kind.path} to let go of those who stalled", lambda: held(process) == before)
            other.is_served("after others stalled")
        stop(process, signal.SIGINT, summary(number + 1))


def no_descriptors(kind):
    """Those whom it has are served, the rest wait in the system and are served later; meanwhile it does not spin."""
    complaint = rf"{pathlib.Path(kind.path).name}: [^\n]*: {os.strerror(errno.EMFILE)}\n"
    room, pauses = 3, 3
    one_loop = os.environ | {"LEVADA_LOOPS": "1"}  # so that the descriptors can be counted
    with kind.running(env=one_loop) as (process, address):
        with Client(kind, address, 0) as other:
            other.is_served("while there are descriptors")
            before = held(process)
            began, spent = time.monotonic(), cpu_seconds(process)
            limit = len(os.listdir(f"/proc/{process.pid}/fd")) + room * kind.descriptors
            resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, limit))
            clients = []
            for n in range(3 * room):
                clients.append(Client(kind, address, n + 1))
                if n < room:
                    clients[-1].is_served("while there are descriptors")
            for _ in range(1 + pauses):
                expect_match("the complaint", process.stderr.readline(), complaint)
                for client in [other, *clients[:room]]:
                    client.is_served("without descriptors")
            took, spent = time.monotonic() - began, cpu_seconds(process) - spent
            expect(f"{kind.path}: it pauses between attempts; {took} s", took > 0.09 * pauses, True)
            expect(f"{kind.path}: it does not spin; {spent} s of {took}", spent < took / 2, True)
            if kind.opens:
                other.gets(kind.opens[0], kind.opens[1], "without descriptors")
            again = 0
            for client in clients:
                try:
                    client.is_served("with descriptors again")
                except ConnectionError:
                    expect(f"{kind.path}: descriptors for a client, of which one can be had alone", kind.descriptors, 2)
                    again += 1  # it was accepted, and the next took what it needed for its target
                    client = Client(kind, address, len(clients) + again)
                    client.is_served("with descriptors again")
                client.socket.close()
            until(f"{kind.path} to let go of those who left", lambda: held(process) == before)
            if kind.opens:
                other.gets(kind.opens[0], kind.opens[2], "with descriptors again")
            other.is_served("at the end")
        complaints = rf"({complaint}|port_forward: cannot connect to [^\n]*: {os.strerror(errno.EMFILE)}\n)*"
        stop(process, signal.SIGINT, summary(1 + len(clients) + again), complaints)


def check_peers():
    programs = [harness.program, *harness.arguments]
    kinds = [dataclasses.replace(KINDS[pathlib.Path(path).name], path=path) for path in programs]
    with contextlib.ExitStack() as stack:
        target = next(kind for kind in kinds if kind.path.endswith("echo_server"))
        _, (host, port) = stack.enter_context(target.running())
        for kind in kinds:
            if kind.path.endswith("port_forward"):
                kind.arguments = ("--to", f"{host}:{port}")
                stack.enter_context(target_that_vanishes(kind))
        for kind in kinds:
            stack.enter_context(clients_that_vanish(kind))  # which takes a while
        for kind in kinds:
            clients_that_reset(kind)
            clients_with_small_buffers(kind)
            clients_that_stall(kind)
            if harness.does_without_descriptors():
                no_descriptors(kind)
