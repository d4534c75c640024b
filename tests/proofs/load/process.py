"""The functions in a process of their own, to be killed: as deployed, but for two things that take minutes there.

The hold of a killed run lapses after seconds, and what the bridge waits for passes ten times as fast.
"""

from common.platform.clock import SystemClock
from common.runs import instance, leases
from local import serving


class Brisk(SystemClock):
    def sleep(self, seconds: float) -> None:
        super().sleep(seconds / 10)


def main() -> None:
    leases.LIFETIME_S, leases.RENEWAL_S = 6, 1
    instance.current = instance.Instance(Brisk())
    with serving.functions() as addresses:
        serving.announce(addresses)
        serving.wait_for_end()


if __name__ == "__main__":
    main()
