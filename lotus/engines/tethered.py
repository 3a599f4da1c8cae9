"""``python -m lotus.engines.tethered MODULE ARGUMENTS``: a module that ends with its parent.

The parent starts it in a session of its own and keeps the other end of its standard input. However
the parent ends, even by a kill, the system closes that end, and the module and all its own
processes (data loaders, ranks) are killed: none of them goes on training in a folder that a retry
works in. Unlike Linux's parent-death signal this holds on macOS too, and does not depend on which
thread of the parent started the process.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(0, signal.SIGKILL)  # 0 is the process group


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
