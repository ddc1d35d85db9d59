"""The checks of the servers among the examples."""

import contextlib
import errno
import json
import os
import pathlib
import random
import re
import resource
import signal
import socket
import struct
import tempfile
import threading

import harness
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
