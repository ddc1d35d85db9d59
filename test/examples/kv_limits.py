"""The checks of kv_server's bounds: what slow, fast and greedy clients cost it, and the others."""

import itertools
import os
import pathlib
import re
import resource
import signal
import socket
import threading
import time

import harness
from harness import PATIENCE, connect, expect, read_all, read_exactly, server, stop, until

MIB = 1 << 20


def command(*words):
    words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


def memory(process, what="VmRSS"):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(rf"{what}:\s+(\d+) kB", status)[1]) * 1024


def asks(client, *words):
    """The first line of the reply."""
    client.sendall(command(*words))
    line = b""
    while not line.endswith(b"\r\n") and (more := client.recv(1)):
        line += more
    return line


def sends_and_counts(client, data, size):
    """Sends all, while it reads replies of `size` bytes in all; gives how many bytes came."""
    sender = threading.Thread(target=client.sendall, args=[data])
    sender.start()
    got = 0
    while got < size and (more := client.recv(1 << 16)):
        got += len(more)
    sender.join()
    return got


def subscriber(address, name, room=0):
    client = socket.socket()
    client.settimeout(PATIENCE)
    if room:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    client.connect(address)
    client.sendall(command("SUBSCRIBE", name))
    wanted = b"*3\r\n$9\r\nsubscribe\r\n$%d\r\n%s\r\n:1\r\n" % (len(name), name.encode())
    expect("SUBSCRIBE", read_exactly(client, len(wanted)), wanted)
    return client


def message(name, text):
    return b"*3\r\n$7\r\nmessage\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name.encode(), len(text), text)


def a_fast_publisher_drops_no_reader():
    count = 50_000
    with server() as (process, address), subscriber(address, "n") as sub, connect(address) as pub:
        heard = []
        reader = threading.Thread(target=lambda: heard.append(read_exactly_in_parts(sub, count * len(message("n", b"x")))))
        reader.start()
        expect("the publisher's replies", sends_and_counts(pub, command("PUBLISH", "n", "x") * count, 4 * count), 4 * count)
        reader.join(PATIENCE)
        expect("every message", heard, [message("n", b"x") * count])
        stop(process, signal.SIGINT, r"served 2 connections, cut off 0\n")


def read_exactly_in_parts(client, count):
    parts = []
    while count > 0 and (part := client.recv(min(count, 1 << 16))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def silent_subscribers_hold_little():
    """They share what waits for them, are dropped when it is too much, and the one who reads misses nothing."""
    text = b"x" * 100_000
    with server("--patience", 1) as (process, address), connect(address) as pub, subscriber(address, "n") as good:
        silent = [subscriber(address, "n", 4096) for _ in range(5)]
        before = memory(process)
        sent = 0
        for sent in itertools.count(1):
            heard = asks(pub, "PUBLISH", "n", text)
            expect("the one who reads", read_exactly_in_parts(good, len(message("n", text))) == message("n", text), True)
            if heard == b":1\r\n" or sent == 1000:
                break
        expect("they are dropped in the end", heard, b":1\r\n")
        expect(f"{sent} messages for 5 cost little", (memory(process, "VmHWM") - before) // MIB < 60, True)
        for client in silent:
            read_all(client)
            client.close()
        stop(process, signal.SIGINT, r"served 7 connections, cut off 0\n")


def a_steady_reader_is_served_to_the_end():
    """However slow: what counts is that it takes something in the time, not that it takes all."""
    patience, value = 2, b"v" * (32 * MIB)  # 10 s at least
    with server("--patience", patience) as (process, address), connect(address) as other:
        other.sendall(command("SET", "big", value))
        expect("SET", read_exactly(other, 5), b"+OK\r\n")
        wanted = len(value) + len(b"$%d\r\n\r\n" % len(value))
        for _ in range(5):
            with socket.socket() as client:
                client.settimeout(PATIENCE)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
                client.connect(address)
                client.sendall(command("GET", "big"))
                got, began, last, steady = 0, time.monotonic(), time.monotonic(), True
                while time.monotonic() - began < 2.5 * patience:
                    got += len(client.recv(1 << 15))
                    steady = steady and time.monotonic() - last < patience / 4
                    last = time.monotonic()
                    time.sleep(0.01)
                if not steady:
                    continue  # this machine held the reader up: it tells nothing
                expect("not all at once", got < wanted, True)
                got += len(read_exactly_in_parts(client, wanted - got))
                expect("the whole value", got, wanted)
                break
        stop(process, signal.SIGINT, r"served \d+ connections, cut off 0\n")


def a_silent_reader_is_cut_off():
    with server("--patience", 1) as (process, address), connect(address) as client:
        client.sendall(command("SET", "big", b"v" * (24 * MIB)) + command("GET", "big"))
        until("it to be cut off", lambda: b"connected_clients:1\r\n" in info(address))
        expect("it has part of it", len(read_all(client)) < 24 * MIB, True)
        stop(process, signal.SIGINT, r"served \d+ connections, cut off 0\n")


def info(address):
    with connect(address) as client:
        client.sendall(command("INFO") + command("QUIT"))
        return read_all(client)


def replies_are_bounded():
    """A client that asks for much and reads nothing holds up itself, and takes no memory."""
    with server() as (process, address), connect(address) as greedy, connect(address) as other:
        expect("SET", asks(other, "SET", "big", b"v" * MIB), b"+OK\r\n")
        before = memory(process)
        greedy.sendall(command("GET", "big") * 1000)
        while b"connected_clients:3\r\n" not in info(address):
            pass
        for _ in range(100):
            expect("the others are served", asks(other, "EXISTS", "big"), b":1\r\n")
        size = 1000 * (MIB + len(b"$1048576\r\n\r\n"))
        expect("all of them come", len_of(greedy, size), size)
        expect("a gigabyte of replies", (memory(process, "VmHWM") - before) // MIB < 100, True)
        stop(process, signal.SIGINT, r"served \d+ connections, cut off 0\n")


def len_of(client, count):
    got = 0
    while got < count and (part := client.recv(1 << 20)):
        got += len(part)
    return got


def a_new_time_takes_no_memory():
    """A key takes the same memory however often its time is set. (Buffers may grow in a round, but not in each.)"""
    count, grown = 100_000, []
    with server() as (process, address), connect(address) as client:
        both = command("SET", "k", "v", "EX", 1000) + command("EXPIRE", "k", 2000)
        for _ in range(6):
            before = memory(process)
            expect("replies", sends_and_counts(client, both * count, 9 * count), 9 * count)
            grown.append((memory(process) - before) // MIB)
        expect(f"a round without growth among {grown} MiB", min(grown) < 2, True)
        stop(process, signal.SIGINT, r"served 1 connections, cut off 0\n")


def many_keys_expire_in_steps():
    """While they do, others are served: they see that some have gone and others have not."""
    count = 50_000
    with server(env=os.environ | {"LEVADA_LOOPS": "1"}) as (process, address), connect(address) as client:

        def set_all(*options):
            sets = b"".join(command("SET", f"key:{i}", "x", *options) for i in range(count))
            expect("replies", sends_and_counts(client, sets, 5 * count), 5 * count)

        def seen(after):
            numbers = set()
            set_all("PXAT", int((time.time() + after) * 1000))
            while (left := asks(client, "DBSIZE")) != b":0\r\n":
                numbers.add(left)
            return len(numbers)

        begun = time.monotonic()
        set_all()
        takes = time.monotonic() - begun
        until("numbers between all and none", lambda: seen(3 * takes) > 3)
        stop(process, signal.SIGINT, r"served 1 connections, cut off 0\n")


def no_memory_is_an_answer():
    """The client that wants too much is told; it and the others go on."""
    with server() as (process, address), connect(address) as greedy, connect(address) as other:
        expect("SET", asks(other, "SET", "small", "x"), b"+OK\r\n")
        limit = memory(process, "VmSize") + 200 * MIB
        _, most = resource.prlimit(process.pid, resource.RLIMIT_AS)
        resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, most))
        answer, size = b":0\r\n", 0
        while answer == b":%d\r\n" % size and size < 400 * MIB:
            size += MIB
            answer = asks(greedy, "APPEND", "large", b"x" * MIB)
        expect("no memory", answer, b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")
        expect("the value is as it was", asks(greedy, "STRLEN", "large"), b":%d\r\n" % (size - MIB))
        expect("the others", asks(other, "INCR", "n"), b":1\r\n")
        with connect(address) as whole:  # not even its command has room
            whole.sendall(command("SET", "whole", b"x" * (63 * MIB)) * 2)
            expect("told, and hung up on", read_all(whole)[-58:], b"-OOM command not allowed when used memory > 'maxmemory'.\r\n")
        expect("DEL", asks(greedy, "DEL", "large", "whole"), b":1\r\n")
        expect("there is room again", asks(greedy, "APPEND", "large", b"x" * MIB), b":%d\r\n" % MIB)
        stop(process, signal.SIGINT, r"served 3 connections, cut off 0\n")


def check():
    a_fast_publisher_drops_no_reader()
    a_steady_reader_is_served_to_the_end()
    a_silent_reader_is_cut_off()
    many_keys_expire_in_steps()
    of_memory = (silent_subscribers_hold_little, replies_are_bounded, a_new_time_takes_no_memory, no_memory_is_an_answer)
    for test in of_memory:
        if harness.is_sanitized():
            print(f"skipped: {test.__name__} (sanitizers take memory of their own)")
        else:
            test()
