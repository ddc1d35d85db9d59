"""The tasks of a program that uses levada, in gdb: of a stopped process, or of a core file.

    gdb -x tools/gdb/levada.py PROGRAM CORE
    (gdb) levada-tasks

It needs no debug information: the library has a table of where things lie. Operations and frames are named by the
program's symbols and by the places that tasks note as they await.
"""

import struct

import gdb

STATES = ["running", "arming", "parked", "looked at", "claimed", "cancelled", "ended"]
PARKED = (2, 3)
ENDED = 6
SOURCE, TASK, REGION, SHIELD, GROUP = range(5)
FIRST_LEAF = 5
UNWINDING, IDLE_WAIT, RETIRING = 2, 8, 512
AWAITED = 1 << 31
UNLIMITED = 2**64 - 1
# What runs away is cut off: a core may be damaged.
MOST_FRAMES = 10_000
MOST_COUNTED = 100


class Memory:
    """What can be read of the program."""

    def __init__(self):
        self.inferior = gdb.selected_inferior()

    def bytes(self, address, size):
        return bytes(self.inferior.read_memory(address, size))

    def u64(self, address):
        return struct.unpack("<Q", self.bytes(address, 8))[0]

    def u32(self, address):
        return struct.unpack("<I", self.bytes(address, 4))[0]

    def u16(self, address):
        return struct.unpack("<H", self.bytes(address, 2))[0]

    def u8(self, address):
        return self.bytes(address, 1)[0]

    def text(self, address, most=4096):
        """A C string; None where there is none."""
        out = b""
        try:
            while len(out) < most:
                part = self.bytes(address + len(out), 16)
                end = part.find(b"\0")
                if end >= 0:
                    return (out + part[:end]).decode("utf-8", "replace")
                out += part
        except gdb.MemoryError:
            pass
        return None


def address_of(symbol):
    """Of a global variable, without its type; None if the program has none of that name."""
    try:
        return int(gdb.parse_and_eval(f"(unsigned long) &{symbol}"))
    except gdb.error:
        return None


def symbol_at(address):
    """The name of what lies there, without its offset and section; empty if nothing does."""
    try:
        told = gdb.execute(f"info symbol {address:#x}", to_string=True)
    except gdb.error:
        return ""
    if told.startswith("No symbol"):
        return ""
    return told.split(" in section ")[0].rsplit(" + ", 1)[0].strip()


class Layout:
    """The library's tables."""

    NAMES = (
        "version next_executor root context clock next parent kind children live node hook word home flags parked_on"
        " leaf started_at awaits_at since promise awaiting link_at owner site boundary_link"
    ).split()
    CHANNEL = "version on next capacity made_at receivers senders size".split()

    def __init__(self, memory):
        self.read(memory, "levada_layout", self.NAMES)
        self.channels = address_of("levada_channel_layout") is not None
        if self.channels:
            self.read(memory, "levada_channel_layout", self.CHANNEL, "channel_")

    def read(self, memory, symbol, names, prefix=""):
        at = address_of(symbol)
        if at is None:
            raise gdb.GdbError(f"{symbol} is not there: this program has no levada, or was stripped of its symbols")
        for i, name in enumerate(names):
            setattr(self, prefix + name, memory.u32(at + 4 * i))
        if getattr(self, prefix + "version") == 0:
            raise gdb.GdbError(f"{symbol} is not filled yet: the program has not begun")
        if getattr(self, prefix + "version") != 1:
            raise gdb.GdbError(f"{symbol} has a version that this script does not know: take the one of its release")


def coroutine_name(told):
    """As it was written. g++ tells that of a function of its own making: `void f(f(int)::_Z1fi.Frame*)`."""
    made = told.rfind("::_Z")
    if made < 0 or not told.endswith("Frame*)") or not told.startswith("void "):
        return told
    at = told.find("(")
    while 0 <= at < made:
        name, inside = told[5:at], told[at + 1 : made]
        function = inside.split("(")[0]
        if name.endswith(function):
            return name + inside[len(function) :]
        if name.endswith(inside + "::operator()"):
            return name
        at = told.find("(", at + 1)
    return told


class Places:
    """Places in the source, which tasks keep as the lower halves of pointers."""

    def __init__(self, memory):
        self.memory = memory
        self.known = {}
        self.halves = sorted(self.find_halves())

    @staticmethod
    def find_halves():
        """The upper halves of all addresses that files are loaded at."""
        halves = {address_of("levada_layout") >> 32}
        for line in gdb.execute("info files", to_string=True).splitlines():
            words = line.split()
            if len(words) >= 3 and words[0].startswith("0x") and words[1] == "-":
                halves.update((int(words[0], 16) >> 32, int(words[2], 16) >> 32))
        return halves

    def at(self, low):
        """(file:line, function), or None."""
        if low not in self.known:
            self.known[low] = next(filter(None, (self.look(half << 32 | low) for half in self.halves)), None)
        return self.known[low] if low else None

    def look(self, address):
        try:
            file, function, line, _ = struct.unpack("<QQII", self.memory.bytes(address, 24))
        except gdb.MemoryError:
            return None
        if not 0 < line < 10_000_000:
            return None
        name = self.memory.text(file)
        called = self.memory.text(function)
        return (f"{name}:{line}", called) if name and called is not None else None


class Tasks:
    def __init__(self):
        self.memory = Memory()
        self.layout = Layout(self.memory)
        self.places = Places(self.memory)
        self.names = self.read_names()

    def read_names(self):
        """Of the tasks that have one, from a std::unordered_map of libstdc++."""
        names = {}
        at = address_of("levada_names")
        table = self.memory.u64(at) if at else 0
        node = self.memory.u64(table + 16) if table else 0
        while node and len(names) < 10_000_000:
            begin, size = struct.unpack("<QQ", self.memory.bytes(node + 16, 16))
            names[self.memory.u64(node + 8)] = self.memory.bytes(begin, min(size, 4096)).decode("utf-8", "replace")
            node = self.memory.u64(node)
        return names

    def executors(self):
        first = address_of("levada_executors")
        at = self.memory.u64(first) if first else 0
        while at:
            yield at
            at = self.memory.u64(at + self.layout.next_executor)

    def children(self, node):
        at = self.memory.u64(node + self.layout.children)
        while at:
            # The list links hooks, which are where the nodes begin.
            yield at - self.layout.hook
            at = self.memory.u64(at + self.layout.next)

    def nodes(self):
        """All nodes of all trees, parents first."""
        roots = []
        for executor in self.executors():
            root = self.memory.u64(executor + self.layout.root)
            if root not in roots:
                roots.append(root)
        stack = list(reversed(roots))
        while stack:
            node = stack.pop()
            yield node, self.memory.u8(node + self.layout.kind)
            below = [c for c in self.children(node) if self.memory.u8(c + self.layout.kind) < FIRST_LEAF]
            stack.extend(reversed(below))

    def place(self, low, function=False):
        found = self.places.at(low)
        if not found:
            return "an unknown place"
        return f"{found[0]} in {coroutine_name(found[1])}" if function and found[1] else found[0]

    def operation(self, op):
        """What it is, by its virtual table; and of a channel, what it holds and who waits there."""
        name = symbol_at(self.memory.u64(op))
        name = name.removeprefix("vtable for ").replace("levada::detail::", "").replace("levada::", "")
        name = name or "an unknown operation"
        kinds = ("recv_op<", "send_op<", "send_value_op<", "reserve_op<", "recv_many_op<")
        if self.layout.channels and name.startswith(kinds):
            name += self.channel(self.memory.u64(op + self.layout.channel_on))
        return name

    def channel(self, channel):
        if not channel:
            return " on a nil channel"
        layout = self.layout
        capacity = self.memory.u64(channel + layout.channel_capacity)
        kind = {0: "a rendezvous channel", UNLIMITED: "an unbounded channel"}.get(capacity, f"a channel of {capacity}")
        made = self.places.at(self.memory.u32(channel + layout.channel_made_at))
        where = f" made at {made[0]}" if made else ""
        size = f"{self.memory.u64(channel + layout.channel_size)} buffered, " if capacity else ""
        receiving = self.count(self.memory.u64(channel + layout.channel_receivers))
        sending = self.count(self.memory.u64(channel + layout.channel_senders))
        return f" on {kind}{where} ({size}{receiving} receiving, {sending} sending)"

    def count(self, hook):
        n = 0
        while hook and n <= MOST_COUNTED:
            n += 1
            hook = self.memory.u64(hook + self.layout.channel_next)
        return n if n <= MOST_COUNTED else f"more than {MOST_COUNTED}"

    def chain(self, link):
        """The lines of the frames from an await_link on, the innermost first."""
        seen = 0
        while link and seen < MOST_FRAMES:
            seen += 1
            frame = self.memory.u64(link)
            yield self.place(self.memory.u32(link + self.layout.link_at), True)
            link = self.memory.u64(frame + self.layout.awaiting) & ~3 if frame else 0

    def waited(self, task, since):
        home = self.memory.u64(task + self.layout.home) & ~3
        context = self.memory.u64(home + self.layout.context) if home else 0
        if not context:
            return ""
        ms = (self.memory.u32(context + self.layout.clock) - since) & 0xFFFFFFFF
        if ms == 0 or ms >= 1 << 31:
            return ""
        return f", for {ms} ms" if ms < 10_000 else f", for {ms // 1000} s"

    def describe(self, node):
        """The lines of a task; none if it has ended."""
        layout = self.layout
        task = node - layout.node
        state = self.memory.u64(task + layout.word) & 0xFF
        if state == ENDED:
            return []
        name = f'"{self.names[task]}" ' if task in self.names else ""
        head = f"task {task:#x} {name}started at {self.place(self.memory.u32(task + layout.started_at))}"
        flags = self.memory.u16(task + layout.flags)
        if state in PARKED:
            op = self.memory.u64(task + layout.parked_on)
            waited = self.waited(task, self.memory.u32(op + layout.since))
            lines = [f"{head}, waits for {self.operation(op)}{waited}"]
            lines.append(f"    at {self.place(self.memory.u32(task + layout.awaits_at), True)}")
            promise = self.memory.u64(task + layout.leaf) + layout.promise
            link = self.memory.u64(promise + layout.awaiting) & ~3
            return lines + [f"    at {line}" for line in self.chain(link)]
        if flags & RETIRING:
            return [f"{head}, waits until the kernel has let go of its operation"]
        if flags & UNWINDING:
            return [f"{head}, unwinds, or waits for its children before it does"]
        if flags & IDLE_WAIT:
            return [f"{head}, waits for the tasks of its group"]
        return [f"{head}, runs or is ready to"]

    def regions(self, node):
        """The lines for a region whose owner waits for its last task."""
        if not self.memory.u32(node + self.layout.live) & AWAITED:
            return []
        # A group inside a region has none of its own.
        site = self.memory.u64(node + self.layout.site) or self.site_of(self.memory.u64(node + self.layout.parent))
        if not site:
            return []
        lines = ["  a region whose tasks its own task waits for:"]
        return lines + [f"    at {line}" for line in self.chain(site + self.layout.boundary_link)]


    def site_of(self, node):
        region = node and self.memory.u8(node + self.layout.kind) in (REGION, SHIELD)
        return self.memory.u64(node + self.layout.site) if region else 0


class ListTasks(gdb.Command):
    """levada-tasks: all live tasks, what each waits for, and where its frames await."""

    def __init__(self):
        super().__init__("levada-tasks", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        if argument.strip():
            raise gdb.GdbError("levada-tasks takes no arguments")
        tasks = Tasks()
        count = 0
        for node, kind in tasks.nodes():
            lines = []
            try:
                if kind == TASK:
                    lines = tasks.describe(node)
                    count += bool(lines)
                elif kind in (REGION, SHIELD, GROUP):
                    lines = tasks.regions(node)
            except gdb.MemoryError as e:
                lines = [f"task at {node:#x}: {e}"]
            for line in lines:
                print(line)
        print(f"{count} task{'' if count == 1 else 's'}")


ListTasks()
