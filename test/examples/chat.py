"""The checks of chat_server."""

import itertools
import re
import signal
import socket

from harness import PATIENCE, ended, expect, helps, read_all, read_exactly, refuses, server, until


class Member:
    def __init__(self, address, name=None, room=0):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if room:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        self.socket.connect(address)
        self.lines = self.socket.makefile("r", encoding="utf-8", newline="\n")
        expect("the question", read_exactly(self.socket, 11), b"your name? ")
        if name is not None:
            self.say(name)

    def say(self, line):
        self.socket.sendall((line if isinstance(line, bytes) else line.encode()) + b"\n")

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
    with server("--when-slow", policy, "--patience", 1, "--drain", 0) as (process, address):
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


def chat_takes_bursts():
    """Members who read are not thrown out because many lines come at once: neither the one who says them, nor others."""
    with server() as (process, address):
        ann, bob = Member(address, "ann"), None
        ann.say("/who")
        ann.hears("* here: ann")
        bob = Member(address, "bob")
        ann.hears("* bob has joined")
        lines = [f"line {i}" for i in range(2000)]
        bob.socket.sendall("".join(f"{line}\n" for line in lines).encode())
        for member in (ann, bob):
            member.hears(*(f"bob: {line}" for line in lines))
        process.send_signal(signal.SIGINT)
        for member in (ann, bob):
            expect("the end", member.lines.readline(), "")
            member.close()
        ended(process, r"2 members came, 2002 lines went to all, dropped 0, cut off 0\n")


def chat_takes_many_at_once():
    """Nobody is thrown out because many join at once."""
    count = 300
    with server() as (process, address):
        members = [Member(address) for _ in range(count)]
        process.send_signal(signal.SIGSTOP)  # so that it sees all of them at once
        for i, member in enumerate(members):
            member.say(f"m{i}\n/who")
        process.send_signal(signal.SIGCONT)
        for member in members:
            line = member.lines.readline()
            while line and not line.startswith("* here:"):
                line = member.lines.readline()
            expect("who is there", line.startswith("* here:"), True)
        for member in members:
            member.say("/quit")
        for member in members:
            read_all(member.socket)
            member.close()
        process.send_signal(signal.SIGINT)
        ended(process, rf"{count} members came, {2 * count} lines went to all, dropped 0, cut off 0\n")


def chat_protects_terminals():
    """What would move the cursor of others, or is no text, does not reach them."""
    bad = "\N{REPLACEMENT CHARACTER}"
    sent = {
        b"\x1b[2Jclear": f"{bad}[2Jclear",
        b"a\x07b\x00c\x7fd": f"a{bad}b{bad}c{bad}d",
        b"a\tb": "a b",
        b"\xff\xfb\x01": bad * 3,
        "gr\u00fc\u00dfe \u65e5\u672c \U0001f600".encode(): "gr\u00fc\u00dfe \u65e5\u672c \U0001f600",
        b"\xc0\xafx": f"{bad}{bad}x",  # overlong
        b"\xed\xa0\x80x": f"{bad}{bad}{bad}x",  # a surrogate
        b"cut \xe2\x82": f"cut {bad}{bad}",
        "c1 \u009b2J".encode(): f"c1 {bad}2J",
        "turned \u202e".encode(): f"turned {bad}",
        b"back\rward": f"back{bad}ward",
    }
    with server() as (process, address):
        for name in (b"\x1b[2J", b"n\xff", "n\u202en".encode()):
            none = Member(address, name)
            expect("such a name", b"a name is" in read_all(none.socket), True)
            none.close()
        ann, bob = Member(address, "ann"), None
        ann.say("/who")
        ann.hears("* here: ann")
        bob = Member(address, "bob")
        ann.hears("* bob has joined")
        for line in sent:
            bob.socket.sendall(line + b"\n")
        ann.hears(*(f"bob: {shown}" for shown in sent.values()))
        process.send_signal(signal.SIGINT)
        for member in (ann, bob):
            read_all(member.socket)
            member.close()
        ended(process, r"5 members came, \d+ lines went to all, dropped 0, cut off 0\n")


def chat_says_why():
    """Whoever is hung up on hears why, however much it has sent meanwhile."""
    with server() as (process, address):
        ann = Member(address, "ann")
        ann.say("x" * 1000)
        ann.hears("ann: " + "x" * 1000)
        ann.say("x" * 1001)
        ann.socket.sendall(b"and so on\n" * 10_000)
        ann.hears("* a line has at most 1000 bytes: good-bye")
        expect("the end", ann.lines.readline(), "")
        ann.close()
        long = Member(address, "n" * 100)
        expect("a long name", read_all(long.socket), b"* a name is one word without * / :, of at most 30 bytes\n")
        long.close()
        process.send_signal(signal.SIGINT)
        ended(process, r"2 members came, \d+ lines went to all, dropped 0, cut off 0\n")


def check_chat_server():
    helps()
    refuses(2, r"--when-slow takes drop or skip, not 'wait'", "--port", "0", "--when-slow", "wait")
    refuses(2, r"--patience takes a number of seconds from 1 to 3600, not '0'", "--port", "0", "--patience", "0")
    chat_to_all()
    chat_takes_bursts()
    chat_takes_many_at_once()
    chat_protects_terminals()
    chat_says_why()
    chat_with_slow("drop", r"2 members came, \d+ lines went to all, dropped 1, cut off \d\n")
    chat_with_slow("skip", r"2 members came, \d+ lines went to all, dropped 0, cut off \d\n")
