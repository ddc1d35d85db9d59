"""The checks of kv_server: its commands, its protocol, and clients of Redis. kv_limits.py has those of time and memory."""

import contextlib
import signal
import socket
import struct

import kv_clients
import kv_limits
from harness import connect, expect, helps, read_all, read_exactly, refuses, server, stop, until


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
        ("INCR top", "-ERR increment or decrement would overflow\r\n"),
        ("EXPIRE a 50", ":1\r\n"),
        ("TTL a", ":50\r\n"),
        ("EXPIRE none 50", ":0\r\n"),
        ("EXPIRE a -1", ":1\r\n"),
        ("EXISTS a b c b", ":3\r\n"),
        ("MSET k1 v1 k2 v2 k3 v3", "+OK\r\n"),
        ("MSET k1 v1 k2", "-ERR wrong number of arguments for 'mset' command\r\n"),
        ("MGET k1 none k3", "*3\r\n$2\r\nv1\r\n$-1\r\n$2\r\nv3\r\n"),
        ("DEL k1 k2 none", ":2\r\n"),
        ("MSETNX {m}1 a {m}2 b {m}1 c", ":1\r\n"),
        ("MSETNX {m}3 a {m}2 c", ":0\r\n"),
        ("MGET {m}1 {m}2 {m}3", "*3\r\n$1\r\nc\r\n$1\r\nb\r\n$-1\r\n"),
        ("DEL {m}1 {m}2", ":2\r\n"),
        ("MSETNX {m}1 a {m}2", "-ERR wrong number of arguments for 'msetnx' command\r\n"),
        ("PUBLISH nobody x", ":0\r\n"),
        ("GET", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("NONSENSE x", "-ERR unknown command 'NONSENSE'\r\n"),
        ("SELECT 1", "-ERR DB index is out of range\r\n"),
        ("SELECT 0", "+OK\r\n"),
        ("SET zeros 007", "+OK\r\n"),
        ("INCR zeros", wrong),
        ("SET zeros +7", "+OK\r\n"),
        ("INCR zeros", wrong),
        ("INCRBY n 10", ":10\r\n"),
        ("DECRBY n 4", ":6\r\n"),
        ("DECR n", ":5\r\n"),
        ("INCRBY n 07", wrong),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"),
        ("SETNX n 1", ":0\r\n"),
        ("SETNX once 1", ":1\r\n"),
        ("SETEX s 100 v", "+OK\r\n"),
        ("TTL s", ":100\r\n"),
        ("SETEX s 0 v", "-ERR invalid expire time in 'setex' command\r\n"),
        ("PSETEX s 50000 w", "+OK\r\n"),
        ("TTL s", ":50\r\n"),
        ("SET s x KEEPTTL", "+OK\r\n"),
        ("TTL s", ":50\r\n"),
        ("SET s y GET", "$1\r\nx\r\n"),
        ("SET fresh y GET", "$-1\r\n"),
        ("SET s z XX GET", "$1\r\ny\r\n"),
        ("TTL s", ":-1\r\n"),
        ("SET s z EX 1 KEEPTTL", "-ERR syntax error\r\n"),
        ("SET s z EXAT 33333333333", "+OK\r\n"),
        ("EXPIRETIME s", ":33333333333\r\n"),
        ("SET s z PXAT 33333333333444", "+OK\r\n"),
        ("PEXPIRETIME s", ":33333333333444\r\n"),
        ("PERSIST s", ":1\r\n"),
        ("PERSIST s", ":0\r\n"),
        ("EXPIRE s 9000000000", ":1\r\n"),
        ("TTL s", ":9000000000\r\n"),
        ("EXPIRE s 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"),
        ("EXPIRE s 10 NX", ":0\r\n"),
        ("EXPIRE s 10 LT", ":1\r\n"),
        ("PEXPIRE s 20000 GT", ":1\r\n"),
        ("EXPIRE s 10 NX XX", "-ERR NX and XX, GT or LT options at the same time are not compatible\r\n"),
        ("EXPIREAT s 44444444444", ":1\r\n"),
        ("EXPIRETIME s", ":44444444444\r\n"),
        ("PEXPIREAT s 1", ":1\r\n"),
        ("EXISTS s", ":0\r\n"),
        ("PTTL s", ":-2\r\n"),
        ("APPEND s ab", ":2\r\n"),
        ("APPEND s cd", ":4\r\n"),
        ("STRLEN s", ":4\r\n"),
        ("TYPE s", "+string\r\n"),
        ("TYPE none", "+none\r\n"),
        ("GETEX s EX 100", "$4\r\nabcd\r\n"),
        ("TTL s", ":100\r\n"),
        ("GETEX s PERSIST", "$4\r\nabcd\r\n"),
        ("TTL s", ":-1\r\n"),
        ("GETEX none EX 9223372036854775807", "$-1\r\n"),
        ("GETEX s EX 9223372036854775807", "-ERR invalid expire time in 'getex' command\r\n"),
        ("GETSET s x", "$4\r\nabcd\r\n"),
        ("GETDEL s", "$1\r\nx\r\n"),
        ("GETDEL s", "$-1\r\n"),
        ('SET "a key" "a\\x41\\n\\"b"', "+OK\r\n"),
        ("GET 'a key'", '$5\r\naA\n"b\r\n'),
        ("ECHO 'it\\'s'", "$4\r\nit's\r\n"),
        ('ECHO ""', "$0\r\n\r\n"),
        ("UNLINK once n zeros fresh 'a key'", ":5\r\n"),
        ("CLIENT SETNAME me", "+OK\r\n"),
        ("CLIENT GETNAME", "$2\r\nme\r\n"),
        ("CLIENT SETINFO LIB-NAME x", "+OK\r\n"),
        ("CLIENT NONSENSE", "-ERR unknown subcommand 'NONSENSE'. Try CLIENT HELP.\r\n"),
        ("CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"),
        ("CONFIG SET appendonly no", "+OK\r\n"),
        ("CONFIG SET nonsense 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'nonsense'\r\n"),
        ("COMMAND INFO get", "*1\r\n*6\r\n$3\r\nget\r\n:2\r\n*0\r\n:1\r\n:1\r\n:1\r\n"),
        ("COMMAND INFO nonsense", "*1\r\n$-1\r\n"),
        ("COMMAND LIST FILTERBY PATTERN [GM]ETE*", "*1\r\n$5\r\ngetex\r\n"),
        ("COMMAND LIST FILTERBY MODULE json", "*0\r\n"),
        ("COMMAND LIST nonsense", "-ERR syntax error\r\n"),
        ("CLIENT NO-EVICT on", "+OK\r\n"),
        ("CLIENT NO-EVICT perhaps", "-ERR syntax error\r\n"),
        ("INFO commandstats", "$0\r\n\r\n"),
        ("UNSUBSCRIBE", "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n"),
        ("PUNSUBSCRIBE p", "*3\r\n$12\r\npunsubscribe\r\n$1\r\np\r\n:0\r\n"),
        ("EXEC", "-ERR EXEC without MULTI\r\n"),
        ("DISCARD", "-ERR DISCARD without MULTI\r\n"),
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


def kv_knows_clients():
    with server() as (process, address), contextlib.ExitStack() as stack:
        one = stack.enter_context(connect(address))
        expect("a name", ask(one, "CLIENT SETNAME one"), "+OK\r\n")
        two = stack.enter_context(connect(address))  # the second, since the first has been served
        expect("another", ask(two, "HELLO 3 SETNAME two")[:4], "%7\r\n")
        lines = ("id=1 name=one db=0 resp=2\n", "id=2 name=two db=0 resp=3\n")
        expect("itself", ask(one, "CLIENT INFO"), f"${len(lines[0])}\r\n{lines[0]}\r\n")
        expect("all", ask(one, "CLIENT LIST"), f"${len(lines[0] + lines[1])}\r\n{lines[0]}{lines[1]}\r\n")
        expect("by number", ask(one, "CLIENT LIST ID 2 7"), f"${len(lines[1])}\r\n{lines[1]}\r\n")
        expect("neither", ask(one, "CLIENT LIST ID", "CLIENT LIST TYPE pubsub"), "-ERR syntax error\r\n" * 2)
        expect("QUIT", ask(two, "QUIT"), "+OK\r\n")
        until("one of them to have gone", lambda: "two" not in ask(one, "CLIENT LIST"))
        stop(process, signal.SIGINT, r"served 2 connections, cut off 0\n")


def kv_expires():
    with server() as (process, address), connect(address) as client:
        expect("SET", ask(client, "SET brief x PX 30"), "+OK\r\n")
        until("the key to expire", lambda: ask(client, "GET brief") == "$-1\r\n")
        expect("no trace of it", "db0:keys=0" in ask(client, "INFO"), True)
        expect("a section", ask(client, "INFO keyspace"), "$24\r\n# Keyspace\r\ndb0:keys=0\r\n\r\n")
        expect("sections", [line for line in ask(client, "INFO CLIENTS server nonsense").split("\r\n") if line[:1] == "#"], ["# Server", "# Clients"])
        stop(process, signal.SIGTERM, r"served 1 connections, cut off 0\n")


def kv_misbehaving():
    errors = {
        b"*x\r\n": b"invalid multibulk length",
        b"*2000000\r\n": b"invalid multibulk length",
        b"*1\r\n:4\r\n": b"expected '$', got ':'",
        b"*1\r\n$-1\r\n": b"invalid bulk length",
        b"*1\r\n$99999999999\r\n": b"invalid bulk length",
        b"*1\r\n$4\r\nPINGxx": b"expected CRLF",
        b"*" + b"1" * 100: b"invalid multibulk length",
        b"x" * 70_000: b"too big inline request",
        b'SET a "b\r\n': b"unbalanced quotes in request",
        b'SET a "b"c\r\n': b"unbalanced quotes in request",
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
        stop(process, signal.SIGINT, r"served 14 connections, cut off 0\n")


def kv_publishes():
    with server("--shards", 2, "--patience", 1) as (process, address), connect(address) as sub, connect(address) as pub:
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


def kv_subscribes():
    """The shapes of what a subscriber gets."""

    def confirms(word, name, count, mark=b"*"):
        return mark + b"3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:%d\r\n" % (len(word), word, len(name), name, count)

    with server() as (process, address), connect(address) as sub, connect(address) as pub:
        # One name twice counts once.
        sub.sendall(b"SUBSCRIBE a\r\nSUBSCRIBE a\r\nPSUBSCRIBE a* [b-c]?\r\nPING\r\nPING x\r\n")
        wanted = confirms(b"subscribe", b"a", 1) * 2
        wanted += confirms(b"psubscribe", b"a*", 2) + confirms(b"psubscribe", b"[b-c]?", 3)
        wanted += b"*2\r\n$4\r\npong\r\n$0\r\n\r\n*2\r\n$4\r\npong\r\n$1\r\nx\r\n"
        expect("subscriptions", read_exactly(sub, len(wanted)), wanted)
        expect("by name and by pattern", ask(pub, "PUBLISH a 1", "PUBLISH c! 2", "PUBLISH d 3"), ":2\r\n:1\r\n:0\r\n")
        wanted = b"*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n"
        wanted += b"*4\r\n$8\r\npmessage\r\n$2\r\na*\r\n$1\r\na\r\n$1\r\n1\r\n"
        wanted += b"*4\r\n$8\r\npmessage\r\n$6\r\n[b-c]?\r\n$2\r\nc!\r\n$1\r\n2\r\n"
        expect("messages", read_exactly(sub, len(wanted)), wanted)
        sub.sendall(b"UNSUBSCRIBE\r\nPUNSUBSCRIBE\r\nGET a\r\n")
        wanted = confirms(b"unsubscribe", b"a", 2) + confirms(b"punsubscribe", b"[b-c]?", 1)
        wanted += confirms(b"punsubscribe", b"a*", 0) + b"$-1\r\n"
        expect("no subscriptions", read_exactly(sub, len(wanted)), wanted)
        # With RESP3, a subscriber may do all else; it publishes to itself, too.
        with connect(address) as three:
            three.sendall(b"HELLO 3\r\n")
            hello = read_exactly(three, 4)
            expect("a map", hello, b"%7\r\n")
            while not hello.endswith(b"modules\r\n*0\r\n"):
                hello += three.recv(1000)
            three.sendall(b"GET none\r\nSUBSCRIBE a\r\nPUBLISH a 1\r\nSET a 5\r\nGET a\r\nUNSUBSCRIBE\r\nUNSUBSCRIBE\r\nQUIT\r\n")
            wanted = b"_\r\n" + confirms(b"subscribe", b"a", 1, b">") + b">3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\n1\r\n:1\r\n"
            wanted += b"+OK\r\n$1\r\n5\r\n" + confirms(b"unsubscribe", b"a", 0, b">") + b">3\r\n$11\r\nunsubscribe\r\n_\r\n:0\r\n+OK\r\n"
            expect("RESP3", read_all(three), wanted)
        with connect(address) as plain:
            for hello in ("HELLO", "HELLO 2"):
                plain.sendall(hello.encode() + b"\r\n")
                said = read_exactly(plain, 5)
                while not said.endswith(b"modules\r\n*0\r\n"):
                    said += plain.recv(1000)
                expect(hello, (said[:5], b"proto\r\n:2\r\n" in said), (b"*14\r\n", True))
        for refused, why in {"HELLO 4": "NOPROTO unsupported protocol version", "HELLO x": "ERR Protocol version is not an integer or out of range"}.items():
            expect(refused, ask(pub, refused), f"-{why}\r\n")
        stop(process, signal.SIGINT, r"served 4 connections, cut off 0\n")


def kv_transactions(shards):
    with server("--shards", shards) as (process, address), connect(address) as client, connect(address) as sub:
        queued = "+QUEUED\r\n"
        sub.sendall(b"SUBSCRIBE news\r\n")
        sub.recv(1000)
        done = ask(client, "MULTI", "SET {t}a 1", "INCR {t}a", "MGET {t}a {t}b", "PUBLISH news x", "INCR", "DISCARD")
        refused = "-ERR wrong number of arguments for 'incr' command\r\n"
        expect("discarded", done, "+OK\r\n" + queued * 4 + refused + "+OK\r\n")
        done = ask(client, "MULTI", "SET {t}a x", "NONSENSE", "EXEC", "EXISTS {t}a")
        aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n"
        expect("after an error", done, "+OK\r\n" + queued + "-ERR unknown command 'NONSENSE'\r\n" + aborted + ":0\r\n")
        done = ask(client, "MULTI", "SET {t}a 1", "ECHO y", "INCR {t}a", "MULTI", "PUBLISH news x", "MGET {t}a {t}b", "EXEC", "GET {t}a")
        wanted = "+OK\r\n" + queued * 3 + "-ERR MULTI calls can not be nested\r\n" + queued * 2
        wanted += "*5\r\n+OK\r\n$1\r\ny\r\n:2\r\n:1\r\n*2\r\n$1\r\n2\r\n$-1\r\n$1\r\n2\r\n"
        expect("done", done, wanted)
        expect("published once", sub.recv(1000), b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n")
        done = ask(client, "MULTI", "SET {t}a 3", "EXEC now", "EXEC", "GET {t}a")
        refused = "-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command\r\n"
        expect("an EXEC that is refused", done, "+OK\r\n" + queued + refused + "-ERR EXEC without MULTI\r\n$1\r\n2\r\n")
        if shards > 1:
            done = ask(client, "MSETNX x 1 y 1 z 1 w 1 v 1", "EXISTS x y z w v")
            wanted = "-CROSSSLOT Keys of MSETNX have to be of one shard; give them one {tag}\r\n:0\r\n"
            expect("MSETNX of several shards", done, wanted)
            names = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
            done = ask(client, "MULTI", *(f"SET {name} 1" for name in names), "EXEC", "EXISTS a b")
            expect("keys of several shards", ("-CROSSSLOT" in done, done.endswith(aborted + ":0\r\n")), (True, True))
        # Nothing comes in between: each reads what it has written.
        others = [connect(address) for _ in range(4)]
        many = command(b"MULTI") + (command(b"INCR", b"{t}n") * 2 + command(b"GET", b"{t}n")) * 100 + command(b"EXEC")
        for other in others:
            other.sendall(many + command(b"PING", b"mark"))
        for other in others:
            data = b""
            while not data.endswith(b"mark\r\n"):
                data += other.recv(1 << 16)
            numbers = [int(line.strip(b":")) for line in data.split(b"*300\r\n")[1].split(b"\r\n") if line[:1] != b"$" and line.strip(b":").isdigit()]
            first = numbers[0]
            expect("in one go", numbers, [first + n for i in range(0, 200, 2) for n in (i, i + 1, i + 1)])
            other.close()
        stop(process, signal.SIGINT, r"served 6 connections, cut off 0\n")


def kv_walks(shards):
    """SCAN gives every key that is there all the time, though others come and go."""
    with server("--shards", shards) as (process, address), connect(address) as client:
        for i in range(0, 1000, 100):
            ask(client, *(f"SET stays:{n} 1" for n in range(i, i + 100)), *(f"SET goes:{n} 1" for n in range(i, i + 100)))
        expect("DBSIZE", ask(client, "DBSIZE"), ":2000\r\n")
        found, at, rounds = [], "0", 0
        while rounds == 0 or at != "0":
            lines = ask(client, f"SCAN {at} COUNT 37 MATCH stays:*").split("\r\n")
            at = lines[2]
            found += lines[5::2]
            ask(client, *(f"DEL goes:{n}" for n in range(20 * rounds, 20 * rounds + 20)), f"SET new:{rounds} 1")
            rounds += 1
        expect("all that stay", set(found), {f"stays:{n}" for n in range(1000)})
        keys = ask(client, "KEYS stays:1?[0-2]").split("\r\n")
        expect("KEYS", (keys[0], set(keys[2::2])), ("*30", {f"stays:1{i}{j}" for i in range(10) for j in range(3)}))
        expect("no cursor", ask(client, "SCAN x"), "-ERR invalid cursor\r\n")
        expect("a cursor of nothing", ask(client, "SCAN 999999999999 COUNT 100000")[:5], "*2\r\n$")
        expect("FLUSHDB", ask(client, "SET one 1", "FLUSHDB", "EXISTS one", "SET one 1"), "+OK\r\n+OK\r\n:0\r\n+OK\r\n")
        expect("PTTL", 9000 < int(ask(client, "PEXPIRE one 10000", "PTTL one")[5:]) <= 10_000, True)
        expect("FLUSHALL", ask(client, "FLUSHALL", "DBSIZE", "KEYS *"), "+OK\r\n:0\r\n*0\r\n")
        expect("gone at once", ask(client, "SET past x", "GETEX past EXAT 1", "DBSIZE"), "+OK\r\n$1\r\nx\r\n:0\r\n")
        stop(process, signal.SIGINT, r"served 1 connections, cut off 0\n")


def check_kv_server():
    helps()
    refuses(2, r"Give one, as in: kv_server --port")
    refuses(2, r"--patience takes a number of seconds from 1 to 3600, not 'x'", "--port", "0", "--patience", "x")
    refuses(2, r"--shards takes a number from 1 to 64, not '0'", "--port", "0", "--shards", "0")
    kv_commands(1)
    kv_commands(5)
    kv_knows_clients()
    kv_expires()
    kv_misbehaving()
    kv_publishes()
    kv_subscribes()
    for shards in (1, 5):
        kv_transactions(shards)
        kv_walks(shards)
    kv_limits.check()
    kv_clients.check()


