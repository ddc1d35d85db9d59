#!/usr/bin/env python3
"""Says on stderr, and by exit status 1, that io_uring is switched off on this machine, and how to allow it."""

import ctypes
import errno
import os
import sys

IO_URING_SETUP = 425  # the same on every machine but alpha


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    params = ctypes.create_string_buffer(120)  # struct io_uring_params, all zero
    fd = libc.syscall(ctypes.c_long(IO_URING_SETUP), ctypes.c_uint(1), params)
    if fd >= 0:
        os.close(fd)
        return
    code = ctypes.get_errno()
    name = errno.errorcode.get(code, code)
    try:
        with open("/proc/sys/kernel/io_uring_disabled", encoding="ascii") as file:
            disabled = file.read().strip()
    except OSError:
        disabled = "0"
    if disabled != "0":
        how = f"kernel.io_uring_disabled is {disabled}: `sysctl kernel.io_uring_disabled=0` as root allows it"
    elif code == errno.ENOSYS:
        how = "the kernel has none, or a seccomp profile hides it"
    elif code in (errno.EPERM, errno.EACCES):
        how = "a seccomp profile forbids it; in a container: `--security-opt seccomp=unconfined`, or a profile " \
              "that allows io_uring_setup, io_uring_enter and io_uring_register"
    else:
        how = "the limit on locked memory or open files may be too low"
    print(f"io_uring is not available here ({name}): {how}. What needs it fails.", file=sys.stderr)
    sys.exit(1)


main()
