"""Requests of http_server as bytes, good ones and such that smugglers use, and the statuses of their answers."""


def get(path, *headers):
    return "".join(line + "\r\n" for line in (f"GET {path} HTTP/1.1", "Host: here", *headers, ""))


def post(head, body=""):
    return f"POST / HTTP/1.1\r\nHost: here\r\n{head}\r\n{body}"


CHUNKED = "Transfer-Encoding: chunked\r\n"
LAST = "GET /note.txt HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"

# What is sent, and the statuses of the answers, after which the server hangs up. LAST shows that what is before it is
# understood to its end; where a request is refused, nothing behind it is answered.
RAW = {
    "a request": (LAST, [200]),
    "empty lines before it": ("\r\n\r\n" + LAST, [200]),
    "a field with nothing in it": (get("/note.txt", "Empty:") + LAST, [200, 200]),
    "spaces around a value": (get("/note.txt", "X: \t y \t ") + LAST, [200, 200]),
    "HTTP/1.2, which is 1.1 and more": (get("/note.txt").replace("1.1", "1.2") + LAST, [200, 200]),
    "a body": (post("Content-Length: 3\r\n", "abc") + LAST, [405, 200]),
    "chunks": (post(CHUNKED, "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n") + LAST, [405, 200]),
    "chunks with extensions and a trailer": (post(CHUNKED, '1;a="b c"\r\nx\r\n0;x\r\nT: y\r\n\r\n') + LAST, [405, 200]),
    "the names of fields in any letters": (post("CONTENT-length: 1\r\n", "x") + LAST, [405, 200]),
    "an unknown method": ("BREW / HTTP/1.1\r\nHost: here\r\n\r\n" + LAST, [501, 200]),
    "OPTIONS *": ("OPTIONS * HTTP/1.1\r\nHost: here\r\n\r\n" + LAST, [405, 200]),
    "CONNECT": ("CONNECT here:80 HTTP/1.1\r\nHost: here:80\r\n\r\n" + LAST, [405, 200]),
    "HTTP/1.0": ("GET /note.txt HTTP/1.0\r\n\r\n" + LAST, [200]),
    "HTTP/1.0 that keeps alive": ("GET /note.txt HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" + LAST, [200, 200]),
    "close among others": (get("/note.txt", "Connection: x, close") + LAST, [200]),
    "an IPv6 host": (get("/note.txt").replace("here", "[::1]:80") + LAST, [200, 200]),
    # How another server may have read it, this one does not:
    "no Host": ("GET / HTTP/1.1\r\n\r\n" + LAST, [400]),
    "two Hosts": (get("/", "Host: here") + LAST, [400]),
    "two Hosts in HTTP/1.0": ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n" + LAST, [400]),
    "a Host that is none": (get("/").replace("here", "a/b") + LAST, [400]),
    "a Host with a user": (get("/").replace("here", "me@here") + LAST, [400]),
    "a space before a colon": (get("/", "X : y") + LAST, [400]),
    "a space before Content-Length's": (post("Content-Length : 3\r\n", "abc") + LAST, [400]),
    "a space before Transfer-Encoding's": (post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n") + LAST, [400]),
    "a folded field": (get("/", "X: y", " z") + LAST, [400]),
    "a folded field by a tab": (get("/", "X: y", "\tz") + LAST, [400]),
    "a folded Content-Length": (post("Content-Length:\r\n 3\r\n", "abc") + LAST, [400]),
    "a folded Transfer-Encoding": (post("Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n") + LAST, [400]),
    "a space before the first field": ("GET / HTTP/1.1\r\n Host: here\r\n\r\n" + LAST, [400]),
    "no colon": (get("/", "nonsense") + LAST, [400]),
    "no name": (get("/", ": x") + LAST, [400]),
    "a zero byte": (get("/", "X: a\0b") + LAST, [400]),
    "a CR alone in a value": (get("/", "X: a\rContent-Length: 3") + LAST, [400]),
    "a CR alone after a colon": (get("/", "X:\rContent-Length: 3") + LAST, [400]),
    "a LF alone after a line": ("GET / HTTP/1.1\nHost: here\r\n\r\n" + LAST, [400]),
    "a LF alone after a field": ("GET / HTTP/1.1\r\nHost: here\n\r\n" + LAST, [400]),
    "a LF alone at the end": ("GET / HTTP/1.1\r\nHost: here\r\n\n" + LAST, [400]),
    "two lengths": (post("Content-Length: 3\r\nContent-Length: 0\r\n", "abc") + LAST, [400]),
    "the same length twice": (post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc") + LAST, [400]),
    "a list of lengths": (post("Content-Length: 3, 3\r\n", "abc") + LAST, [400]),
    "a length with a sign": (post("Content-Length: +3\r\n", "abc") + LAST, [400]),
    "a length below zero": (post("Content-Length: -3\r\n", "abc") + LAST, [400]),
    "no length": (post("Content-Length:\r\n", "abc") + LAST, [400]),
    "a length in hex": (post("Content-Length: 0x3\r\n", "abc") + LAST, [400]),
    "a length beyond numbers": (post("Content-Length: 18446744073709551619\r\n", "abc") + LAST, [413]),
    "a length and chunks": (post("Content-Length: 3\r\n" + CHUNKED, "0\r\n\r\n") + LAST, [400]),
    "chunks and a length": (post(CHUNKED + "Content-Length: 5\r\n", "0\r\n\r\n") + LAST, [400]),
    "chunks in HTTP/1.0": ("POST / HTTP/1.0\r\n" + CHUNKED + "\r\n0\r\n\r\n" + LAST, [400]),
    "chunks twice": (post(CHUNKED + CHUNKED, "0\r\n\r\n") + LAST, [400]),
    "a coding that is no chunks": (post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n") + LAST, [400]),
    "a coding after chunks": (post("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n") + LAST, [400]),
    "a coding before chunks": (post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n") + LAST, [501]),
    "a chunk and no CRLF": (post(CHUNKED, "3\r\nabcX0\r\n\r\n") + LAST, [400]),
    "a chunk and a LF": (post(CHUNKED, "3\r\nabc\n0\r\n\r\n") + LAST, [400]),
    "a chunk longer than its size": (post(CHUNKED, "3\r\nabcd\r\n0\r\n\r\n") + LAST, [400]),
    "a size of no digits": (post(CHUNKED, "\r\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "a size with a sign": (post(CHUNKED, "+3\r\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "a size after 0x": (post(CHUNKED, "0x3\r\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "a size after a space": (post(CHUNKED, " 3\r\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "a size before a space": (post(CHUNKED, "3 \r\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "a size before a LF": (post(CHUNKED, "3\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "a LF in an extension": (post(CHUNKED, "3;a\nb\r\nabc\r\n0\r\n\r\n") + LAST, [400]),
    "an endless extension": (post(CHUNKED, "3;" + "x" * 300), [400]),
    "a size beyond numbers": (post(CHUNKED, "1" + "0" * 16 + "\r\nabc\r\n0\r\n\r\n") + LAST, [413]),
    "a trailer that is no field": (post(CHUNKED, "0\r\nnonsense\r\n\r\n") + LAST, [400]),
    "nonsense": ("nonsense\r\n\r\n" + LAST, [400]),
    "another protocol, which ends no line": ("\x16\x03\x01", [400]),
    "HTTP/0.9": ("GET /note.txt\r\n" + LAST, [400]),
    "HTTP/2": ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [505]),
    "a version that is none": (get("/").replace("HTTP/1.1", "HTTP/1.10") + LAST, [400]),
    "two spaces": (get("/").replace("GET ", "GET  ") + LAST, [400]),
    "a space in a target": (get("/a b") + LAST, [400]),
    "a target that is none": (get("note.txt") + LAST, [400]),
    "a target of another scheme": (get("ftp://here/note.txt") + LAST, [400]),
    "a target without a host": (get("http:///note.txt") + LAST, [400]),
    "a method that is none": (get("/").replace("GET", "G(T") + LAST, [400]),
    "another expectation": (get("/note.txt", "Expect: a miracle") + LAST, [417]),
}
