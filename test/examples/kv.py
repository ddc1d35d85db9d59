"""The checks of kv_server."""

import shutil
import signal
import socket
import struct
import subprocess

import harness
from harness import PATIENCE, connect, expect, helps, read_all, read_exactly, refuses, server, stop, until


def ask(client, *lines):
    """Sends lines as one types them in, and gives what comes back, as far as a PING after them."""
    client.sendall(b"".join(line.encode() + b"\r\n" for line in lines) + b"PING mark\r\n")
    data = b""
    while not data.endswith(b"$4\r\nmark\r\n"):
        more = client.recv(1 << 16)
        if not more:
            break
        data += more
    return data.removesuffix(b"$4\r\nmark\r\n").decode()


def command(*arguments):
    return b"*%d\r\n" % len(arguments) + b"".join(b"$%d\r\n%s\r\n" % (len(a), a) for a in arguments)


def kv_commands(shards):
    wrong = "-ERR value is not an integer or out of range\r\n"
    table = [
        ("PING", "+PONG\r\n"),
        ("ping hello", "$5\r\nhello\r\n"),
        ("ECHO x", "$1\r\nx\r\n"),
        ("GET a", "$-1\r\n"),
        ("SET a 1", "+OK\r\n"),
        ("GET a", "$1\r\n1\r\n"),
        ("SET a 2 NX", "$-1\r\n"),
        ("SET b 2 XX", "$-1\r\n"),
        ("SET b 2 NX XX", "-ERR syntax error\r\n"),
        ("SET b 2 EX", "-ERR syntax error\r\n"),
        ("SET b 2 EX x", wrong),
        ("SET b 2 EX 0", "-ERR invalid expire time in 'set' command\r\n"),
        ("SET b 2 EX 100", "+OK\r\n"),
        ("TTL b", ":100\r\n"),
        ("TTL a", ":-1\r\n"),
        ("TTL none", ":-2\r\n"),
        ("SET c x PX 1000000 NX", "+OK\r\n"),
        ("TTL c", ":1000\r\n"),
        ("INCR c", wrong),
        ("INCR a", ":2\r\n"),
        ("INCR new", ":1\r\n"),
        ("SET top 9223372036854775807", "+OK\r\n"),
        ("INCR top", wrong),
        ("EXPIRE a 50", ":1\r\n"),
        ("TTL a", ":50\r\n"),
        ("EXPIRE none 50", ":0\r\n"),
        ("EXPIRE a -1", ":1\r\n"),
        ("EXISTS a b c b", ":3\r\n"),
        ("MSET k1 v1 k2 v2 k3 v3", "+OK\r\n"),
        ("MSET k1 v1 k2", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MGET k1 none k3", "*3\r\n$2\r\nv1\r\n$-1\r\n$2\r\nv3\r\n"),
        ("DEL k1 k2 none", ":2\r\n"),
        ("PUBLISH nobody x", ":0\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("NONSENSE x", "-ERR unknown command 'NONSENSE'\r\n"),
        ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ("", ""),
    ]
    with server("--shards", shards) as (process, address):
        with connect(address) as client:
            for line, wanted in table:
                expect(line, ask(client, line), wanted)
        with connect(address) as client:  # in one go, and the replies in order
            again = [line for line in table if not line[0].startswith(("EXPIRE a", "TTL", "PING mark"))]
            ask(client, "DEL a b c new top k1 k2 k3")
            keep = [line for line in again if line[0] not in ("EXISTS a b c b", "INCR new")]
            expect("all at once", ask(client, *(line for line, _ in keep)), "".join(w for _, w in keep))
        with connect(address) as client:
            client.sendall(b"QUIT\r\nPING\r\n")
            expect("QUIT", read_all(client), b"+OK\r\n")
        stop(process, signal.SIGINT, r"served 3 connections, cut off 0\n")


def kv_expires():
    with server() as (process, address), connect(address) as client:
        expect("SET", ask(client, "SET brief x PX 30"), "+OK\r\n")
        until("the key to expire", lambda: ask(client, "GET brief") == "$-1\r\n")
        expect("no trace of it", "db0:keys=0" in ask(client, "INFO"), True)
        stop(process, signal.SIGTERM, r"served 1 connections, cut off 0\n")


def kv_misbehaving():
    errors = {
        b"*x\r\n": b"invalid multibulk length",
        b"*2000000\r\n": b"invalid multibulk length",
        b"*1\r\n:4\r\n": b"expected '$'",
        b"*1\r\n$-1\r\n": b"invalid bulk length",
        b"*1\r\n$99999999999\r\n": b"invalid bulk length",
        b"*1\r\n$4\r\nPINGxx": b"expected CRLF",
        b"*" + b"1" * 100: b"invalid multibulk length",
        b"x" * 70_000: b"too big inline request",
    }
    with server() as (process, address), connect(address) as other:
        for sent, why in errors.items():
            with connect(address) as client:
                client.sendall(sent)
                expect(f"the answer to {sent[:30]}", read_all(client), b"-ERR Protocol error: " + why + b"\r\n")
            expect("the others are served", ask(other, "PING"), "+PONG\r\n")
        with connect(address) as client:  # a byte at a time
            for byte in command(b"SET", b"slow", b"x\r\ny") + command(b"GET", b"slow"):
                client.sendall(bytes([byte]))
            expect("byte by byte", read_exactly(client, 15), b"+OK\r\n$4\r\nx\r\ny\r\n")
        with connect(address) as client:  # reset in the middle
            client.sendall(b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$100\r\nx")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        expect("nothing of half a command", ask(other, "EXISTS half"), ":0\r\n")
        big = b"v" * (8 << 20)
        with connect(address) as client:
            client.sendall(command(b"SET", b"big", big) + command(b"GET", b"big"))
            wanted = b"+OK\r\n$%d\r\n" % len(big) + big + b"\r\n"
            expect("8 MiB there and back", read_exactly(client, len(wanted)) == wanted, True)
        stop(process, signal.SIGINT, r"served 12 connections, cut off 0\n")


def kv_publishes():
    with server("--shards", 2) as (process, address), connect(address) as sub, connect(address) as pub:
        sub.sendall(b"SUBSCRIBE news\r\nSUBSCRIBE other\r\n")
        wanted = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$5\r\nother\r\n:2\r\n"
        expect("SUBSCRIBE", read_exactly(sub, len(wanted)), wanted)
        sub.sendall(b"GET a\r\n")
        expect("GET of a subscriber", sub.recv(1000)[:10], b"-ERR only ")
        for i in range(100):
            expect("PUBLISH", ask(pub, f"PUBLISH news {i}"), ":1\r\n")
        wanted = b"".join(b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$%d\r\n%d\r\n" % (len(str(i)), i) for i in range(100))
        expect("messages", read_exactly(sub, len(wanted)), wanted)
        sub.sendall(b"UNSUBSCRIBE\r\n")
        wanted = b"*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$5\r\nother\r\n:0\r\n"
        expect("UNSUBSCRIBE", read_exactly(sub, len(wanted)), wanted)
        expect("PUBLISH to nobody", ask(pub, "PUBLISH news x"), ":0\r\n")
        # One who does not read is dropped, and holds up nobody.
        sub.sendall(b"SUBSCRIBE news\r\n")
        wanted = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
        expect("SUBSCRIBE again", read_exactly(sub, len(wanted)), wanted)
        text = "x" * 60_000
        until("the slow one to be dropped", lambda: ask(pub, f"PUBLISH news {text}") == ":0\r\n")
        read_all(sub)
        stop(process, signal.SIGINT, r"served 2 connections, cut off 0\n")


def kv_real_clients():
    with server() as (process, address):
        port = str(address[1])
        if shutil.which("redis-cli"):
            for words, wanted in [("set greeting hello", "OK\n"), ("get greeting", "hello\n"), ("incr n", "1\n")]:
                done = subprocess.run(
                    ["redis-cli", "-p", port, *words.split()], capture_output=True, text=True, timeout=PATIENCE, check=False
                )
                expect(f"redis-cli {words}", done.stdout, wanted)
        if shutil.which("redis-benchmark"):
            for depth in ("1", "16"):
                done = subprocess.run(
                    ["redis-benchmark", "-p", port, "-t", "ping,set,get,incr,mset", "-n", "2000", "-c", "20", "-P", depth, "-q"],
                    capture_output=True, text=True, timeout=PATIENCE, check=False,
                )
                expect("redis-benchmark", done.returncode, 0)
                expect("its results", done.stdout.count("requests per second"), 6)
        for client in harness.arguments:
            done = subprocess.run([client, port], capture_output=True, text=True, timeout=PATIENCE, check=False)
            expect("hiredis", (done.stderr, done.returncode), ("", 0))
        stop(process, signal.SIGTERM, r"served \d+ connections, cut off 0\n")


def check_kv_server():
    helps()
    refuses(2, r"Give one, as in: kv_server --port")
    refuses(2, r"--shards takes a number from 1 to 64, not '0'", "--port", "0", "--shards", "0")
    kv_commands(1)
    kv_commands(5)
    kv_expires()
    kv_misbehaving()
    kv_publishes()
    kv_real_clients()
