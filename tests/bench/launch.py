"""Runs a command and prints its time and peak memory as one JSON line on standard error.

It is a separate program with few imports because `ru_maxrss` of a child includes the memory of the process that forked
it (getrusage(2)).
"""

import os
import sys
import time


def main() -> int:
    began_s = time.perf_counter()
    child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
    _, status, usage = os.wait4(child, 0)
    wall_s = time.perf_counter() - began_s
    # Kilobytes, except bytes on macOS.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu_s = usage.ru_utime + usage.ru_stime
    sys.stderr.write(f'{{"wall_s": {wall_s}, "cpu_s": {cpu_s}, "peak_bytes": {peak_bytes}}}\n')
    return os.waitstatus_to_exitcode(status)


sys.exit(main())
