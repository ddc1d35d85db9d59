"""The checks of port_forward."""

import array
import contextlib
import errno
import fcntl
import os
import random
import resource
import signal
import socket
import termios
import threading

import harness
from harness import PATIENCE, connect, ended, expect, helps, read_all, read_exactly, read_to_end, refuses, reset, server, stop, until


@contextlib.contextmanager
def target_and_server():
    """Where connections are forwarded to, and where they are made."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        with server("--to", "127.0.0.1:%d" % target.getsockname()[1]) as (process, address):
            yield target, address
            stop(process, signal.SIGINT, r"forwarded \d+ connections, \d+ bytes, cut off 0\n")


def connect_through(target, address):
    """A client, and what it is forwarded to."""
    client = connect(address)
    peer, _ = target.accept()
    peer.settimeout(PATIENCE)
    return client, peer


@contextlib.contextmanager
def forwarded():
    with target_and_server() as (target, address):
        client, peer = connect_through(target, address)
        with client, peer:
            yield client, peer


def refused(address):
    """How a new connection ends; its client may hear of that before it knows that there was one."""
    try:
        with connect(address) as client:
            return read_to_end(client)
    except ConnectionResetError:
        return b"", "reset"


def unsent(client):
    count = array.array("i", [0])
    fcntl.ioctl(client, termios.TIOCOUTQ, count)
    return count[0]


def forwards_both_ways():
    payload = random.Random(5).randbytes(5_000_000)
    with socket.create_server(("127.0.0.1", 0)) as target:

        def serve():
            for _ in range(4):
                peer, _ = target.accept()
                with peer:
                    got = read_all(peer)
                    peer.sendall(got[::-1])  # after the half close

        serving = threading.Thread(target=serve)
        serving.start()
        where = "localhost:%d" % target.getsockname()[1]
        with server("--to", where) as (process, address):

            def talk():
                with connect(address) as client:
                    client.sendall(payload)
                    client.shutdown(socket.SHUT_WR)
                    expect("what comes back", read_all(client) == payload[::-1], True)

            talkers = [threading.Thread(target=talk) for _ in range(4)]
            for talker in talkers:
                talker.start()
            for talker in talkers:
                talker.join(PATIENCE)
            serving.join(PATIENCE)
            total = 8 * len(payload)
            stop(process, signal.SIGINT, rf"forwarded 4 connections, {total} bytes, cut off 0\n")


def forwards_half_closes():
    """The target ends its answer, and goes on listening: the client sees the end, and is still heard."""
    with forwarded() as (client, peer):
        peer.sendall(b"all")
        peer.shutdown(socket.SHUT_WR)
        expect("a half close", read_to_end(client), (b"all", "end"))
        client.sendall(b"more")
        expect("after it", read_exactly(peer, 4), b"more")
        client.shutdown(socket.SHUT_WR)
        expect("the end", read_to_end(peer), (b"", "end"))


def forwards_resets():
    """What is cut off on one side is cut off on the other, wherever that is, and what came before is a part of it."""
    payload, chance = random.Random(7).randbytes(1 << 20), random.Random(8)
    with target_and_server() as (target, address):
        for attempt in range(60):
            client, peer = connect_through(target, address)
            ends = [client, peer]
            chance.shuffle(ends)
            near, far = ends
            if chance.random() < 0.5:
                far.shutdown(socket.SHUT_WR)  # a request that has ended, say
                expect("the end of a request", near.recv(1), b"")
            part = payload[: chance.choice([0, 1, chance.randrange(1 << 12), chance.randrange(len(payload))])]

            def cut(near=near, part=part):
                near.sendall(part)
                reset(near)

            sender = threading.Thread(target=cut)
            sender.start()
            got, how = read_to_end(far)
            sender.join(PATIENCE)
            expect(f"attempt {attempt}: an answer of {len(part)} bytes, cut off", (part.startswith(got), how), (True, "reset"))
            far.close()


def forwards_early_answers():
    """The target answers and closes before it has read all: the answer comes, and its end if there was one."""
    request, answer, chance = bytes(1 << 20), random.Random(9).randbytes(20_000), random.Random(10)
    with target_and_server() as (target, address):
        for attempt in range(200):
            client, peer = connect_through(target, address)

            def send(client=client):
                with contextlib.suppress(OSError):  # it may be told that nobody reads
                    client.sendall(request)

            sender = threading.Thread(target=send)
            sender.start()
            peer.recv(chance.choice([1, 1000, 100_000]))
            peer.sendall(answer)
            ends = chance.random() < 0.5
            if ends:
                peer.shutdown(socket.SHUT_WR)
            else:  # with nothing unread the system would tell the end when it closes
                peer.recv(1, socket.MSG_PEEK)
            peer.close()
            got, how = read_to_end(client)
            expect(f"attempt {attempt}: an early answer", (got == answer, how), (True, "end" if ends else "reset"))
            sender.join(PATIENCE)
            client.close()


def forwards_to_the_slow():
    """An answer that is cut off while its client reads slowly comes as far as it came to the server."""
    payload = random.Random(11).randbytes(300_000)
    with target_and_server() as (target, address), socket.socket() as client:
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)
        peer, _ = target.accept()
        peer.sendall(payload)
        until("all to be taken from the target", lambda: unsent(peer) == 0)
        reset(peer)
        first = read_exactly(client, 1000)
        rest, how = read_to_end(client)
        expect("what is cut off of a slow client", (payload.startswith(first + rest), how), (True, "reset"))
        expect("it is more than its own system holds", len(first + rest) > 100_000, True)


def forwards_cut_off():
    """A connection that is cut off at the end, and one whose target cannot be reached, do not look whole."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        port = target.getsockname()[1]
        with server("--to", f"127.0.0.1:{port}", "--drain", 0) as (process, address):
            client, peer = connect_through(target, address)
            with client, peer:
                client.sendall(b"open")
                expect("what has come", peer.recv(10), b"open")
                process.send_signal(signal.SIGTERM)
                expect("the client's end", read_to_end(client), (b"", "reset"))
                expect("the target's end", read_to_end(peer), (b"", "reset"))
                ended(process, r"forwarded 1 connections, 4 bytes, cut off 1\n")
    nobody = rf"port_forward: cannot connect to 127.0.0.1:{port}: {os.strerror(errno.ECONNREFUSED)}\n"
    with server("--to", f"127.0.0.1:{port}") as (process, address):
        expect("where nobody listens", refused(address), (b"", "reset"))
        stop(process, signal.SIGINT, r"forwarded 1 connections, 0 bytes, cut off 0\n", nobody)


def forwards_without_descriptors():
    """A client for whose target no descriptor is left is hung up on; the others do not notice."""
    with socket.create_server(("127.0.0.1", 0)) as target:
        where = "127.0.0.1:%d" % target.getsockname()[1]
        with server("--to", where, env=os.environ | {"LEVADA_LOOPS": "1"}) as (process, address):
            with connect(address) as old, target.accept()[0] as peer:
                _, most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
                limit = len(os.listdir(f"/proc/{process.pid}/fd")) + 1
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (limit, most))
                for _ in range(2):
                    expect("one that cannot be forwarded", refused(address), (b"", "reset"))
                old.sendall(b"still there")
                expect("the other one", read_exactly(peer, 11), b"still there")
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
                with connect(address) as client, target.accept()[0] as new:
                    client.sendall(b"new")
                    expect("with descriptors again", read_exactly(new, 3), b"new")
            complaints = rf"(port_forward: cannot (connect to {where}|accept): {os.strerror(errno.EMFILE)}\n){{2,}}"
            stop(process, signal.SIGINT, r"forwarded 4 connections, 14 bytes, cut off 0\n", complaints)


def check_port_forward():
    helps()
    refuses(2, r"Say so, as in: --to example.org:80", "--port", "0")
    refuses(2, r"--to takes HOST:PORT, not 'nowhere'", "--port", "0", "--to", "nowhere")
    forwards_both_ways()
    forwards_half_closes()
    forwards_resets()
    forwards_early_answers()
    forwards_to_the_slow()
    forwards_cut_off()
    if harness.does_without_descriptors():
        forwards_without_descriptors()
