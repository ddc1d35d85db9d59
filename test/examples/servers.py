"""The checks of the servers among the examples."""

import contextlib
import errno
import os
import pathlib
import random
import re
import signal
import socket
import threading

from harness import PATIENCE, connect, ended, expect, helps, read_all, read_exactly, refuses, server, stop, until

# echo_server


def echo_to_many():
    payloads = [b"x", b"hello " * 100, random.Random(1).randbytes(70_000), random.Random(2).randbytes(16 << 20)]
    with server() as (process, address):
        expect("the address it listens on", address[0], "127.0.0.1")

        def talk(payload):
            with connect(address) as client:
                sender = threading.Thread(target=lambda: (client.sendall(payload), client.shutdown(socket.SHUT_WR)))
                sender.start()
                expect(f"the echo of {len(payload)} bytes", read_all(client) == payload, True)
                sender.join()

        talkers = [threading.Thread(target=talk, args=[payload]) for payload in payloads * 3]
        with connect(address):  # one that says nothing does not hold up the others
            for talker in talkers:
                talker.start()
            for talker in talkers:
                talker.join(PATIENCE)
            total = 3 * sum(map(len, payloads))
            stop(process, signal.SIGTERM, rf"served 13 connections, echoed {total} bytes, cut off 0\n")


def echo_drains():
    with server() as (process, address):
        with connect(address) as client, connect(address) as idle:
            client.sendall(b"before")
            expect("the echo before the end", read_exactly(client, 6), b"before")
            idle.sendall(b"")
            process.send_signal(signal.SIGINT)
            expect("after the end", read_all(client), b"")
            read_all(idle)  # it may not have been accepted: then it was reset
            ended(process, r"served [12] connections, echoed 6 bytes, cut off 0\n")
        with contextlib.suppress(ConnectionRefusedError):
            connect(address).close()
            expect("a connection after the end", "accepted", "refused")


def stuck(pid, address, client):
    """Whether the server sleeps although there is something to read: so it writes, and cannot go on."""

    def stat():
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return re.search(r"State:\s+S", status) and re.findall(r"ctxt_switches:\s+(\d+)", status)

    before = stat()
    local, remote = address[1], client.getsockname()[1]
    waiting = rf":{local:04X} \w+:{remote:04X} 01 (?!0{{8}})\w{{8}}:(?!0{{8}})\w{{8}} "
    table = pathlib.Path("/proc/net/tcp").read_text(encoding="ascii")
    return before and re.search(waiting, table) and stat() == before


def echo_to_stuck(drain, then):
    """A client that sends, but does not read, until the server can write no more."""
    payload = random.Random(3).randbytes(64 << 20)
    with server("--drain", drain) as (process, address), socket.socket() as client:
        client.settimeout(PATIENCE)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(address)

        def send():
            with contextlib.suppress(OSError):  # the server resets the connection at last
                client.sendall(payload)

        sender = threading.Thread(target=send)
        sender.start()
        until("the server to be stuck", lambda: stuck(process.pid, address, client))
        process.send_signal(signal.SIGINT)
        then(process, client, payload)
        sender.join()


def finished(process, client, payload):
    got = read_all(client)
    expect("what is written is finished", len(got) > 0 and payload.startswith(got), True)
    ended(process, r"served 1 connections, echoed [1-9]\d* bytes, cut off 0\n")


def cut_off(process, _client, _payload):
    ended(process, r"served 1 connections, echoed \d+ bytes, cut off 1\n")


def has_ipv6():
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET6) as s:
        s.bind(("::1", 0))
        return True
    return False


def check_echo_server():
    helps()
    refuses(2, r"Give one, as in: echo_server --port")
    refuses(2, r"--port takes a number from 0 to 65535, not 'http'", "--port", "http")
    refuses(2, r"--port takes a number from 0 to 65535, not '65536'", "--port", "65536")
    refuses(2, r"--port takes a number from 0 to 65535, not '-1'", "--port", "-1")
    refuses(2, r"--port needs a value", "--port")
    refuses(2, r"--drain takes a number of seconds", "--port", "0", "--drain", "soon")
    refuses(2, r"--gone takes a number of seconds from 2 to 3600, not '1'", "--port", "0", "--gone", "1")
    refuses(2, r"unknown option '--prot'; --help", "--prot", "1")
    refuses(2, r"'80' is no option; --help", "--port", "0", "80")
    refuses(2, r"'here' is no IPv4 or IPv6 address; give one", "--port", "0", "--host", "here")
    refuses(2, r"'1.2.3' is no IPv4 or IPv6 address; give one", "--port", "0", "--host", "1.2.3")
    refuses(2, r"'::x' is no IPv4 or IPv6 address; give one", "--port", "0", "--host", "::x")
    refuses(1, os.strerror(errno.EADDRNOTAVAIL), "--port", "0", "--host", "192.0.2.1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refuses(1, rf"127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}; try another --port", "--port", port)
    if has_ipv6():
        with server("--host", "::1") as (process, address), connect(address) as client:
            client.sendall(b"six")
            expect("the echo over IPv6", read_exactly(client, 3), b"six")
            stop(process, signal.SIGINT, r"served 1 connections, echoed 3 bytes, cut off 0\n")
    echo_to_many()
    echo_drains()
    echo_to_stuck(3600, finished)
    echo_to_stuck(0, cut_off)
