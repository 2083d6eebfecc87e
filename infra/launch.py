"""Become another program that dies with its parent: ``launch.py PARENT SIGNAL USER -- PROGRAM ARGUMENT…``.

A child must notice when its supervisor is killed with -9, which no handler sees. On Linux the kernel tells it
(``PR_SET_PDEATHSIG``); elsewhere the next ``twofold up`` finds it by its recorded pid. This is a program of its
own, not code run between fork and exec, because the parent has threads (librdkafka's among them). USER is a
numeric id or ``-``. Only the standard library is imported: it starts in a few milliseconds.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, user = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    program = sys.argv[5:]
    if user != "-":
        os.setgroups([])
        os.setgid(int(user))
        os.setuid(int(user))
    # Set after the change of user, which clears it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent ended before its child began")
    os.execv(program[0], program)


main()
