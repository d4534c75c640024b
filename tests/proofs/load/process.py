"""The functions in a separate process, as deployed except for two times.

The lease of a killed run expires after seconds, and every wait takes a tenth of its usual time.
"""

from common.platform.clock import SystemClock
from common.runs import instance, leases
from local import foreground, function_server


class Brisk(SystemClock):
    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 10)


def main() -> None:
    leases.LIFETIME_S, leases.RENEWAL_S = 6, 1
    instance.current = instance.Instance(Brisk())
    with function_server.serve_functions() as addresses:
        foreground.run_until_signal(lambda: function_server.print_addresses(addresses))


if __name__ == "__main__":
    main()
