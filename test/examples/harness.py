"""What the checks of examples share: running them, talking to them, and comparing."""

import contextlib
import pathlib
import re
import signal
import socket
import struct
import subprocess
import time

PATIENCE = 50  # seconds, for anything that has to happen

program = ""
arguments = []  # what the test has besides
failures = 0


def expect(what, actual, wanted):
    global failures
    if actual == wanted:
        return
    failures += 1
    print(f"FAILED: {what}\n  got:    {str(actual)[:2000]!r}\n  wanted: {str(wanted)[:2000]!r}")


def expect_match(what, text, pattern):
    global failures
    if found := re.fullmatch(pattern, text, re.DOTALL):
        return found
    failures += 1
    print(f"FAILED: {what}\n  got:    {text[:2000]!r}\n  wanted: {pattern}")
    return None


def run(*args, **options):
    return subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=PATIENCE, **options)


def until(what, condition):
    """Waits for a condition, and gives its value."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.002)
    raise TimeoutError(f"waited {PATIENCE} s for {what}")


def prints(text, *args):
    """The example prints exactly this."""
    done = run(*args)
    expect(f"output of {args}", done.stdout, text)
    expect(f"stderr of {args}", done.stderr, "")
    expect(f"exit status of {args}", done.returncode, 0)


def refuses(status, pattern, *args):
    """The example prints one clear line on stderr, and fails."""
    done = run(*args)
    expect_match(f"stderr of {args}", done.stderr, f"[^\n]*{pattern}[^\n]*\n")
    expect(f"output of {args}", done.stdout, "")
    expect(f"exit status of {args}", done.returncode, status)


def helps():
    done = run("--help")
    expect_match("--help", done.stdout, "Usage: .*")
    expect("stderr of --help", done.stderr, "")
    expect("exit status of --help", done.returncode, 0)


@contextlib.contextmanager
def started(*args, **options):
    """A running example; killed if the test leaves it behind."""
    process = subprocess.Popen([program, *map(str, args)], text=True, **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


# Servers


@contextlib.contextmanager
def server(*args, **options):
    """A server that listens on a port that the system chose: its process, and its address."""
    with started("--port", 0, *args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
        line = process.stdout.readline()
        found = expect_match("where it listens", line, r"listening on (\S+):(\d+)\n")
        yield process, (found[1].strip("[]"), int(found[2]))


def does_without_descriptors():
    """UBSan does not: it looks at an object's type with the help of a pipe, and reports a wrong type if it gets none."""
    return b"__ubsan_" not in pathlib.Path(program).read_bytes()


def is_sanitized():
    """Other names of theirs stand in every program: the library asks for ThreadSanitizer where it runs."""
    binary = pathlib.Path(program).read_bytes()
    return b"__asan_init" in binary or b"__tsan_init" in binary


def connect(address):
    return socket.create_connection(address, timeout=PATIENCE)


def read_exactly(client, count):
    data = b""
    while len(data) < count and (more := client.recv(count - len(data))):
        data += more
    return data


def read_all(client):
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def read_to_end(client):
    """All that comes, and how it ends: by an "end" or a "reset"."""
    parts = []
    try:
        while part := client.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        return b"".join(parts), "reset"
    return b"".join(parts), "end"


def reset(client):
    """Closes a connection so that its peer sees it cut off."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def stop(server, number, wanted, errors=""):
    """Sends the signal; the server ends well with these words."""
    server.send_signal(number)
    ended(server, wanted, errors)


def ended(server, wanted, errors=""):
    output, complaints = server.communicate(timeout=PATIENCE)
    expect_match("the server's summary", output, wanted)
    expect_match("the server's complaints", complaints, errors)
    expect("the server's exit status", server.returncode, 0)

