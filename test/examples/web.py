"""The checks of http_server."""

import contextlib
import email.utils
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

import harness
from harness import (
    PATIENCE,
    connect,
    ended,
    expect,
    expect_match,
    helps,
    read_all,
    read_exactly,
    read_to_end,
    refuses,
    reset,
    server,
    stop,
    until,
)
from raw_requests import CHUNKED, RAW, get, post


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
        status = int(lines[0].split()[1])
        length = 0 if request.startswith("HEAD") or status in (100, 304) else int(headers["content-length"])
        while len(data) < length:
            more = client.recv(1 << 16)
            if not more:
                break
            data += more
        answers.append((status, headers, data[:length]))
        data = data[length:]
    expect("bytes after the last answer", data, b"")
    return answers


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
        answers = http(client, "HEAD /big.bin HTTP/1.1\r\nHost: here\r\n\r\n")
        expect("HEAD", (answers[0][0], answers[0][1]["content-length"]), (200, "1000000"))
        pipelined = "".join(map(get, names)) * 5
        bodies = [body for _, _, body in http(client, pipelined, 5 * len(names))]
        expect("pipelined", bodies == [files[name] for name in names.values()] * 5, True)
        for target in ("/none", "/index.html/", "/note.txt/x", "/" + "x" * 300):
            expect(f"GET {target}", http(client, get(target))[0][0], 404)
        for target in ("/../secret.txt", "/sub/../../secret.txt", "/%2e%2e/secret.txt", "/%zz", "/%", "/a%00b"):
            expect(f"GET {target}", http(client, get(target))[0][0], 400)
        (status, headers, _), = http(client, "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nhello")
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
            "POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9999999\r\n\r\n": 413,
            "POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" + "80000\r\n" + "z" * 0x80000 + "\r\n"
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
        client.sendall(b"TP/1.1\r\nHost: here\r\n\r\n")
        rest = read_all(client)
        expect("both answers", (rest.count(b"200 OK"), rest.endswith(b"<p>hello</p>\n")), (2, True))
        ended(process, r"served 2 requests on 1 connections, refused 0, cut off 0\n")


def http_raw(root):
    """Each in one go, and byte by byte."""
    with server("--root", root) as (process, address):
        for what, (sent, wanted) in RAW.items():
            for step in (len(sent), 1):
                with connect(address) as client:
                    with contextlib.suppress(OSError):  # it hangs up on some before they have sent all
                        for at in range(0, len(sent), step):
                            client.sendall(sent[at : at + step].encode("latin-1"))
                    answers = re.findall(r"HTTP/1\.1 (\d+) [^\r]*\r\nServer: levada\r\nDate: ", read_all(client).decode("latin-1"))
                    expect(f"{what}, by {step}", [int(status) for status in answers], wanted)
        stop(process, signal.SIGINT, r"served \d+ requests on \d+ connections, refused \d+, cut off 0\n")


def http_fields(root):
    """What an answer says, and what follows from it in the next request."""
    note = root / "note.txt"
    note.write_bytes(b"0123456789")
    os.utime(note, (0, 1_000_000_000))
    big = (root / "big.bin").read_bytes()
    changed, before, after = (email.utils.formatdate(1_000_000_000 + n, usegmt=True) for n in (0, -1, 1))
    with server("--root", root) as (process, address), connect(address) as client:

        def ask(*fields, path="/note.txt"):
            return http(client, get(path, *fields))[0]

        _, headers, _ = ask()
        expect("Last-Modified", headers["last-modified"], changed.lower())
        expect("Accept-Ranges", headers["accept-ranges"], "bytes")
        sent = email.utils.parsedate_to_datetime(headers["date"]).timestamp()
        expect("Date", abs(sent - time.time()) < PATIENCE, True)
        etag = headers["etag"]
        expect_match("ETag", etag, r'"[-0-9a-z]+"')
        expect("errors have a Date", "date" in ask(path="/none")[1], True)
        old_forms = [time.strftime(form, time.gmtime(1_000_000_000)) for form in ("%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y")]
        for fields, status in [
            ([f"If-None-Match: {etag}"], 304),
            ([f'If-None-Match: "x", W/{etag}'], 304),
            (['If-None-Match: "x"', f"If-None-Match: {etag}"], 304),
            (["If-None-Match: *"], 304),
            (['If-None-Match: "x"'], 200),
            (['If-None-Match: "x"', f"If-Modified-Since: {after}"], 200),  # the tag decides
            ([f"If-Modified-Since: {before}"], 200),
            ([f"If-Modified-Since: {changed}"], 304),
            ([f"If-Modified-Since: {after}"], 304),
            ([f"If-Modified-Since: {old_forms[0]}"], 304),
            ([f"If-Modified-Since: {old_forms[1]}"], 304),
            (["If-Modified-Since: yesterday"], 200),
            ([f"If-None-Match: {etag}", "Range: bytes=0-1"], 304),
        ]:
            got, headers, body = ask(*fields)
            expect(f"{fields}", (got, body), (status, b"0123456789" if status == 200 else b""))
            expect(f"the tag after {fields}", headers["etag"], etag)
        for range_, more, status, part in [
            ("bytes=0-3", [], 206, (0, 4)),
            ("bytes=4-", [], 206, (4, 10)),
            ("bytes=8-99", [], 206, (8, 10)),
            ("bytes=9-99999999999999999999999", [], 206, (9, 10)),
            ("bytes=-3", [], 206, (7, 10)),
            ("bytes=-30", [], 206, (0, 10)),
            ("Bytes=0-0", [], 206, (0, 1)),
            ("bytes=10-", [], 416, None),
            ("bytes=99999999999999999999999-", [], 416, None),
            ("bytes=-0", [], 416, None),
            ("bytes=0-1,4-5", [], 200, None),  # several are as none
            ("bytes=3-2", [], 200, None),
            ("bytes=x-", [], 200, None),
            ("bytes=1-2x", [], 200, None),
            ("bytes=-", [], 200, None),
            ("lines=0-3", [], 200, None),
            ("bytes=0-3", [f"If-Range: {etag}"], 206, (0, 4)),
            ("bytes=0-3", [f"If-Range: {changed}"], 206, (0, 4)),
            ("bytes=0-3", ['If-Range: "x"'], 200, None),
            ("bytes=0-3", [f"If-Range: W/{etag}"], 200, None),
            ("bytes=0-3", [f"If-Range: {after}"], 200, None),
        ]:
            got, headers, body = ask(f"Range: {range_}", *more)
            first, end = part or (0, 10)
            expect(f"{range_} {more}", got, status)
            if status != 416:
                expect(f"the bytes of {range_}", body, b"0123456789"[first:end])
            place = {206: f"bytes {first}-{end - 1}/10", 416: "bytes */10"}.get(status)
            expect(f"Content-Range of {range_}", headers.get("content-range"), place)
        got, headers, body = ask("Range: bytes=500000-", path="/big.bin")
        expect("a part of a large file", (got, body == big[500_000:], headers["content-length"]), (206, True, "500000"))
        expect("a range of nothing", ask("Range: bytes=0-", path="/empty.css")[::2], (200, b""))
        (status, headers, _), = http(client, "HEAD /note.txt HTTP/1.1\r\nHost: here\r\nRange: bytes=0-1\r\n\r\n")
        expect("HEAD of a range", (status, headers["content-length"]), (200, "10"))
        (status, headers, _), = http(client, f"HEAD /note.txt HTTP/1.1\r\nHost: here\r\nIf-None-Match: {etag}\r\n\r\n")
        expect("HEAD of what it has", (status, headers["etag"]), (304, etag))
        note.write_bytes(b"9876543210")
        until("another tag", lambda: ask()[1]["etag"] != etag)
        expect("what has changed", ask(f"If-None-Match: {etag}")[::2], (200, b"9876543210"))
        stop(process, signal.SIGINT, r"served \d+ requests on 1 connections, refused 4, cut off 0\n")


def http_targets(root):
    """The absolute form, whose host wins; directories without a slash; no way to another host."""
    (root / "sub" / "index.html").write_bytes(b"below\n")
    with server("--root", root) as (process, address), connect(address) as client:

        def host(target, field="here"):
            return json.loads(http(client, get(target).replace("Host: here", f"Host: {field}"))[0][2])["host"]

        expect("the host of a field", host("/api/status"), "here")
        expect("the host of a target", host("http://there:80/api/status"), "there:80")
        expect("the host of a target, by another name", host("HTTPS://there/api/status", ""), "there")
        (status, _, body), = http(client, get("http://there/note.txt?x"))
        expect("a file by the absolute form", (status, len(body)), (200, 10))
        (status, _, body), = http(client, get("http://there"))
        expect("no path in the absolute form", (status, body), (200, b"<p>hello</p>\n"))
        for target, place in {
            "/sub": "/sub/",
            "/sub?a=b": "/sub/?a=b",
            "/%73ub": "/%73ub/",
            "//sub": "/sub/",
            "///sub": "/sub/",
            "http://there/sub": "/sub/",
            "http://there//sub?//x": "/sub/?//x",
        }.items():
            (status, headers, _), = http(client, get(target))
            expect(f"GET {target}", (status, headers["location"]), (301, place))
        expect("where it leads to", http(client, get("/sub/"))[0][2], b"below\n")
        (root / "sub" / "index.html").unlink()
        (root / "sub" / "index.html").mkdir()
        until("an index that is none to show", lambda: http(client, get("/sub/"))[0][0] == 404)
        stop(process, signal.SIGINT, r"served \d+ requests on 1 connections, refused 1, cut off 0\n")


def http_expects(root):
    """A client that waits for a word before it sends its body gets one."""
    head = "GET /note.txt HTTP/1.1\r\nHost: here\r\nExpect: 100-Continue\r\n"
    with server("--root", root) as (process, address), connect(address) as client:
        for framing, body in {"Content-Length: 4\r\n\r\n": "body", CHUNKED + "\r\n": "4\r\nbody\r\n0\r\n\r\n"}.items():
            client.sendall((head + framing).encode())
            expect("the word to go on", read_exactly(client, 25), b"HTTP/1.1 100 Continue\r\n\r\n")
            expect("the answer", http(client, body)[0][0], 200)
        expect("a body that came at once", [a[0] for a in http(client, head + "Content-Length: 4\r\n\r\nbody")], [200])
        expect("no body", [a[0] for a in http(client, head + "\r\n")], [200])
        with connect(address) as old:
            old.sendall((head.replace("1.1", "1.0") + "Content-Length: 4\r\n\r\n").encode())
            expect("HTTP/1.0 knows no such thing", [a[0] for a in http(old, "body")], [200])
        for sent, status in {
            post("Expect: 100-continue\r\nContent-Length: 4\r\n"): 405,  # it need not send it at all
            post("Expect: 100-continue\r\nContent-Length: 4000000\r\n"): 413,
            post("Expect: 200-ok\r\n"): 417,
        }.items():
            with connect(address) as refused:
                (got, headers, _), = http(refused, sent)
                expect(f"{sent}", (got, headers["connection"], read_all(refused)), (status, "close", b""))
        stop(process, signal.SIGINT, r"served 8 requests on 5 connections, refused 3, cut off 0\n")


def memory(process):
    """Bytes of it that no file backs."""
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


def http_stalled(root):
    """Clients that read nothing of a large answer, or of many small ones, cost little; what they read later is right."""
    number, each, big = 200, 16 << 10, (root / "big.bin").read_bytes()
    (root / "page.html").write_bytes(bytes(60_000))
    asks = {"/big.bin": get("/big.bin"), "/page.html": get("/page.html") * 40}
    for path, request in asks.items():
        with server("--root", root) as (process, address), contextlib.ExitStack() as stack:
            clients = []
            for _ in range(1 + number):
                client = stack.enter_context(socket.socket())
                client.settimeout(PATIENCE)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(address)
                client.sendall(request.encode())
                expect("an answer begins", read_exactly(client, 9), b"HTTP/1.1 ")
                if not clients:
                    before = memory(process)
                clients.append(client)
            if not harness.is_sanitized():
                until(f"{number} who stall to cost less", lambda before=before: memory(process) - before < number * each)
            for client in clients[:: number // 4]:
                if path == "/big.bin":
                    head = b""
                    while not head.endswith(b"\r\n\r\n"):
                        head += read_exactly(client, 1)
                    expect("what a stalled client reads later", read_exactly(client, len(big)) == big, True)
            for client in clients:
                reset(client)
            stop(process, signal.SIGINT, r"served \d+ requests on \d+ connections, refused 0, cut off 0\n")


def http_slow(root):
    """Clients that send a byte now and then are cut off in time, at every place; those beside them do not notice."""
    whole = post(CHUNKED, "3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n")
    with server("--root", root, "--header-timeout", 1) as (process, address), connect(address) as other:
        slow = []
        for length in range(1, len(whole), 7):
            client = connect(address)
            client.sendall(whole[:length].encode())
            slow.append((length, client))
        expect("another client", http(other, get("/note.txt"))[0][0], 200)
        for length, client in slow:
            expect(f"the answer to {length} bytes", [a[0] for a in http(client, "")], [408])
            expect(f"the end after {length} bytes", read_to_end(client), (b"", "end"))
            client.close()
        expect("the other client", http(other, get("/note.txt"))[0][0], 200)
        stop(process, signal.SIGINT, rf"served {len(slow) + 2} requests on \d+ connections, refused {len(slow)}, cut off 0\n")


def http_ab(root):
    """ApacheBench speaks HTTP/1.0, and keeps connections alive if it is told that it may."""
    if not shutil.which("ab"):
        print("skipped: ab (Debian: apache2-utils)")
        return
    with server("--root", root) as (process, address):
        url = "http://%s:%d/note.txt" % address
        done = subprocess.run(["ab", "-q", "-k", "-n", "200", "-c", "4", url], capture_output=True, text=True, timeout=PATIENCE, check=False)
        for line in ("Complete requests: +200", "Failed requests: +0", "Keep-Alive requests: +200"):
            expect(f"ab -k: {line}", bool(re.search(line + "\n", done.stdout)), True)
        stop(process, signal.SIGINT, r"served 200 requests on 4 connections, refused 0, cut off 0\n")


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
        http_raw(root)
        http_fields(root)
        http_targets(root)
        http_expects(root)
        http_stalled(root)
        http_slow(root)
        http_ab(root)
