"""Binds a process to the life of the stack, then becomes the command.

    python -I tether.py PARENT_PID COMMAND...

Run as a file by a bare interpreter between fork and exec, because code in `preexec_fn` is not safe in a
process that has threads. On Linux the kernel kills the process when the stack dies, however it dies, SIGKILL
included; elsewhere nothing does, and only an orderly end of the stack stops its children.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
EXIT_NOT_STARTED = 126


def bind_to(parent: int) -> None:
    if sys.platform != "linux":
        return
    # SIGKILL and not SIGTERM: the broker may be gone as well, and a warm shutdown could wait for it for
    # ever. Nothing is lost: surviving this is what the system is about.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(EXIT_NOT_STARTED)  # the stack died before the line above


if __name__ == "__main__":
    bind_to(int(sys.argv[1]))
    command = sys.argv[2:]
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"cannot start {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(EXIT_NOT_STARTED)
