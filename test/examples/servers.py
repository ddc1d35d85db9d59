"""The checks of the servers among the examples."""

import contextlib
import errno
import itertools
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import threading

import harness
from harness import PATIENCE, connect, ended, expect, expect_match, helps, read_all, read_exactly, refuses, server, stop, until

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


# kv_server


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


# http_server


def http(client, request, count=1):
    """Sends, and gives `count` answers: status, headers, body."""
    client.sendall(request.encode())
    answers, data = [], b""
    while len(answers) < count:
        while b"\r\n\r\n" not in data:
            more = client.recv(1 << 16)
            if not more:
                return answers
            data += more
        head, data = data.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = 0 if request.startswith("HEAD") else int(headers["content-length"])
        while len(data) < length:
            more = client.recv(1 << 16)
            if not more:
                break
            data += more
        answers.append((int(lines[0].split()[1]), headers, data[:length]))
        data = data[length:]
    expect("bytes after the last answer", data, b"")
    return answers


def get(path, *headers):
    return "".join(line + "\r\n" for line in (f"GET {path} HTTP/1.1", "Host: here", *headers, ""))


def http_files(root):
    files = {"index.html": b"<p>hello</p>\n", "note.txt": b"a note\n", "sub/index.html": b"below\n", "empty.css": b""}
    files["big.bin"] = random.Random(4).randbytes(1_000_000)
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (root.parent / "secret.txt").write_bytes(b"not yours")
    with server("--root", root) as (process, address), connect(address) as client:
        names = {"/": "index.html", "/note.txt": "note.txt", "/sub/": "sub/index.html", "/%6eote.txt?a=b": "note.txt"}
        names |= {"/big.bin": "big.bin", "/empty.css": "empty.css", "/note.txt#x": "note.txt"}
        for _ in range(2):  # the second time from the cache
            for target, name in names.items():
                (status, _, body), = http(client, get(target))
                expect(f"GET {target}", (status, body == files[name]), (200, True))
        (_, headers, _), = http(client, get("/"))
        expect("type", headers["content-type"], "text/html; charset=utf-8")
        answers = http(client, "HEAD /big.bin HTTP/1.1\r\n\r\n")
        expect("HEAD", (answers[0][0], answers[0][1]["content-length"]), (200, "1000000"))
        pipelined = "".join(map(get, names)) * 5
        bodies = [body for _, _, body in http(client, pipelined, 5 * len(names))]
        expect("pipelined", bodies == [files[name] for name in names.values()] * 5, True)
        for target in ("/none", "/sub", "/note.txt/x", "/" + "x" * 300):
            expect(f"GET {target}", http(client, get(target))[0][0], 404)
        for target in ("/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/%zz", "/%", "/a%00b"):
            expect(f"GET {target}", http(client, get(target))[0][0], 400)
        (status, headers, _), = http(client, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")
        expect("POST", (status, headers["allow"]), (405, "get, head"))
        (status, _, body), = http(client, get("/api/status"))
        expect("JSON", (status, json.loads(body)["failures"]), (200, 11))
        (root / "note.txt").write_bytes(b"changed\n")
        until("the change to show", lambda: http(client, get("/note.txt"))[0][2] == b"changed\n")
        (_, headers, _), = http(client, get("/", "Connection: close"))
        expect("asked to close", (headers["connection"], read_all(client)), ("close", b""))
        with connect(address) as old:
            (status, headers, _), = http(old, "GET / HTTP/1.0\r\n\r\n")
            expect("HTTP/1.0", (status, headers["connection"], read_all(old)), (200, "close", b""))
        stop(process, signal.SIGTERM, r"served \d+ requests on 2 connections, refused 11, cut off 0\n")


def http_misbehaving(root):
    with server("--root", root, "--header-timeout", 1) as (process, address), connect(address) as other:
        for sent, status in {
            "nonsense\r\n\r\n": 400,
            "GET / HTTP/1.1\r\nbad header\r\n\r\n": 400,
            "GET / HTTP/1.1\r\n" + "x: " + "y" * 20_000: 431,
            "GET / HTTP/1.1\r\n" + "x: y\r\n" * 4_000: 431,
            "GET /" + "x" * 20_000: 414,
            "POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n": 413,
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + "80000\r\n" + "z" * 0x80000 + "\r\n"
            + "80001\r\n" + "z" * 0x80001 + "\r\n0\r\n\r\n": 413,
            "GET / HTTP/1.1\r\nHost: slow": 408,
        }.items():
            with connect(address) as client:
                answers = http(client, sent)
                expect(f"answer to {sent[:40]!r}", [a[0] for a in answers], [status])
                expect("hangs up", read_all(client), b"")
            expect("the others are served", http(other, get("/"))[0][0], 200)
        with connect(address) as client:  # a byte at a time
            for letter in get("/"):
                client.sendall(letter.encode())
            expect("byte by byte", http(client, "")[0][0], 200)
        with connect(address) as client:  # reset in the middle of a large answer
            client.sendall(get("/big.bin").encode())
            client.recv(1000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with connect(address) as idle:  # a silent one goes at the end
            until("the idle one to be accepted", lambda: http(other, get("/"))[0][0] == 200)
            process.send_signal(signal.SIGINT)
            read_all(idle)
            ended(process, r"served \d+ requests on \d+ connections, refused \d+, cut off 0\n")


def http_drains(root):
    """A request that has begun when the signal comes is answered."""
    with server("--root", root) as (process, address), connect(address) as client:
        client.sendall(get("/big.bin").encode() + b"GET / HT")
        expect("the answer begins", client.recv(8), b"HTTP/1.1")
        process.send_signal(signal.SIGTERM)
        client.sendall(b"TP/1.1\r\n\r\n")
        rest = read_all(client)
        expect("both answers", (rest.count(b"200 OK"), rest.endswith(b"<p>hello</p>\n")), (2, True))
        ended(process, r"served 2 requests on 1 connections, refused 0, cut off 0\n")


def check_http_server():
    with tempfile.TemporaryDirectory(prefix="levada-") as folder:
        root = pathlib.Path(folder) / "www"
        root.mkdir()
        helps()
        refuses(2, r"Give a directory, as in: --root \.", "--port", "0")
        refuses(2, r"--root takes a directory, not '/no/such'", "--port", "0", "--root", "/no/such")
        http_files(root)
        http_misbehaving(root)
        http_drains(root)


# port_forward


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


def forwards_resets():
    with socket.create_server(("127.0.0.1", 0)) as target:
        port = target.getsockname()[1]
        with server("--to", f"127.0.0.1:{port}", "--drain", 0) as (process, address):
            with connect(address) as client:
                peer, _ = target.accept()
                peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.close()
                expect("a reset on the other side", read_all(client), b"")
            with connect(address) as client:
                peer, _ = target.accept()
                client.sendall(b"open")
                expect("what has come", peer.recv(10), b"open")
                process.send_signal(signal.SIGTERM)
                expect("the end", read_all(client), b"")
                peer.close()
                ended(process, r"forwarded 2 connections, 4 bytes, cut off 1\n")
    nobody = rf"port_forward: cannot connect to 127.0.0.1:{port}: {os.strerror(errno.ECONNREFUSED)}\n"
    with server("--to", f"127.0.0.1:{port}") as (process, address):
        with connect(address) as client:
            expect("where nobody listens", read_all(client), b"")
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
                    with connect(address) as client:
                        expect("one that cannot be forwarded", read_all(client), b"")
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
    forwards_resets()
    if harness.does_without_descriptors():
        forwards_without_descriptors()


# chat_server


class Member:
    def __init__(self, address, name, room=0):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.connect(address)
        self.lines = self.socket.makefile("r", encoding="utf-8", newline="\n")
        expect("the question", read_exactly(self.socket, 11), b"your name? ")
        self.say(name)

    def say(self, line):
        self.socket.sendall(line.encode() + b"\n")

    def hears(self, *wanted):
        for line in wanted:
            expect("a line", self.lines.readline(), line + "\n")

    def close(self):
        self.lines.close()
        self.socket.close()


def chat_to_all():
    with server() as (process, address):
        ann = Member(address, "ann")
        ann.say("/who")
        ann.hears("* here: ann")
        bob = Member(address, "bob")
        ann.hears("* bob has joined")
        twin = Member(address, "bob")
        expect("a name twice", read_all(twin.socket), b"* that name is taken\n")
        for wrong in ("", "two words", "a:b", "x" * 40):
            none = Member(address, wrong)
            read_all(none.socket)
            none.close()
        bob.say("hello")
        bob.say("")
        bob.say("/who")
        ann.hears("bob: hello")
        bob.hears("bob: hello", "* here: ann bob")
        bob.say("/quit")
        ann.hears("* bob has left")
        expect("the end of bob", read_all(bob.socket), b"")
        cyd = Member(address, "cyd")
        ann.hears("* cyd has joined")
        cyd.say("x" * 2000)  # too long: out
        ann.hears("* cyd has left")
        process.send_signal(signal.SIGINT)
        expect("the end", ann.lines.readline(), "")
        for member in (ann, bob, cyd, twin):
            member.close()
        ended(process, r"8 members came, 6 lines went to all, dropped 0, cut off 0\n")


def chat_with_slow(policy, wanted):
    with server("--when-slow", policy, "--drain", 0) as (process, address):
        slow = Member(address, "slow", 4096 if policy == "drop" else 0)
        slow.say("/who")
        slow.hears("* here: slow")
        talker = Member(address, "talker")
        slow.hears("* talker has joined")
        line = "y" * 900
        chunk = 30

        def talk():
            """So many lines that the talker itself is not behind; gives what else it hears."""
            for _ in range(chunk):
                talker.say(line)
            heard, others = 0, []
            while heard < chunk:
                got = talker.lines.readline()
                if got == f"talker: {line}\n":
                    heard += 1
                else:
                    others.append(got)
            return others

        if policy == "drop":
            until("the slow one to be dropped", lambda: "* slow has left\n" in talk())
        else:

            for _ in range(15_000_000 // (chunk * len(line))):  # more than sockets hold
                expect("what else is heard", talk(), [])
            note = r"\* you have missed \d+ lines\n"
            for count in itertools.count(1):
                if re.match(note, slow.lines.readline()):
                    break
                if count % 1000 == 0:
                    talk()  # there is room again
        process.send_signal(signal.SIGTERM)
        slow.close()
        talker.close()
        ended(process, wanted)


def check_chat_server():
    helps()
    refuses(2, r"--when-slow takes drop or skip, not 'wait'", "--port", "0", "--when-slow", "wait")
    chat_to_all()
    chat_with_slow("drop", r"2 members came, \d+ lines went to all, dropped 1, cut off \d\n")
    chat_with_slow("skip", r"2 members came, \d+ lines went to all, dropped 0, cut off \d\n")
