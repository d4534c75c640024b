"""Runs a command and says, in one JSON line on standard error, how long it took and how much memory it held.

A program of its own because a process begins with the memory of the one it was forked from: `ru_maxrss` never falls
below that (getrusage(2)), so the launcher has to be small. For the same reason it imports next to nothing.
"""

import os
import sys
import time


def main() -> int:
    began_s = time.perf_counter()
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - began_s
    # Kilobytes, but for macOS.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu_s = usage.ru_utime + usage.ru_stime
    sys.stderr.write(f'{{"wall_s": {wall_s}, "cpu_s": {cpu_s}, "peak_bytes": {peak_bytes}}}\n')
    return os.waitstatus_to_exitcode(status)


sys.exit(main())
