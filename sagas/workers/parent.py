"""Ending with one's parent: nothing of ours outlives the command that a person started.

Run as `python -m sagas.workers.parent PARENT MODULE ARGUMENT...`, it binds itself,
and every process forked from it, to its parent, and then runs MODULE.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1  # Linux, prctl(2)
POLL_S = 1.0

_parent = os.getpid()


def bind(parent: int) -> None:
    """Let this process be killed when process `parent` dies, and each fork when its own parent dies.

    Linux tells us by a signal. It does so when the *thread* that started us ends,
    so whoever starts a bound process does that from its main thread. Elsewhere a
    thread looks once a second.
    """
    os.register_at_fork(before=_remember, after_in_child=_follow)
    _follow_process(parent)


def _remember() -> None:
    global _parent  # noqa: PLW0603 - the one fact that a fork hook can hand to its child
    _parent = os.getpid()


def _follow() -> None:
    _follow_process(_parent)


def _follow_process(parent: int) -> None:
    if not _ask_kernel():
        threading.Thread(target=_poll, args=(parent,), name="parent", daemon=True).start()
    if os.getppid() != parent:  # it died before we asked
        os._exit(1)


def _ask_kernel() -> bool:
    if not sys.platform.startswith("linux"):
        return False
    return ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0


def _poll(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)


def main() -> None:
    """Bind to the parent, then run the module as Python's `-m` would."""
    bind(int(sys.argv[1]))
    module = sys.argv[2]
    sys.argv = sys.argv[2:]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
