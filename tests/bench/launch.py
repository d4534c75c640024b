"""Runs a command and prints its time and peak memory as one JSON line on standard error.

The time ends with the last output, which is each program's result. Afterwards Python only deletes what it has loaded; a
function's process goes on instead.

It is a separate program with few imports because `ru_maxrss` of a child includes the memory of the process that forked
it (getrusage(2)).
"""

import os
import sys
import time

_BLOCK_BYTES = 64 * 1024


def main() -> int:
    began_s = time.perf_counter()
    output, given = os.pipe()
    child = os.posix_spawnp(
        sys.argv[1],
        sys.argv[1:],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_DUP2, given, 1), (os.POSIX_SPAWN_CLOSE, output)],
    )
    os.close(given)
    ended_s = 0.0
    while written := os.read(output, _BLOCK_BYTES):
        ended_s = time.perf_counter()
        sys.stdout.buffer.write(written)
    _, status, usage = os.wait4(child, 0)
    wall_s = (ended_s or time.perf_counter()) - began_s
    # Kilobytes, except bytes on macOS.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu_s = usage.ru_utime + usage.ru_stime
    sys.stderr.write(f'{{"wall_s": {wall_s}, "cpu_s": {cpu_s}, "peak_bytes": {peak_bytes}}}\n')
    return os.waitstatus_to_exitcode(status)


sys.exit(main())
