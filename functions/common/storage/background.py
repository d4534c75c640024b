"""Read from and write to Cloud Storage in a thread, while other blocks are checked, compared or sent."""

import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

_MOST_PENDING_BLOCKS = 4


def read_ahead(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks, and read the next one while the caller has one. What reading raises is raised in its place."""
    with ThreadPoolExecutor(1, "reading") as pool:
        following = pool.submit(next, blocks, b"")
        while block := following.result():
            following = pool.submit(next, blocks, b"")
            yield block


@contextlib.contextmanager
def written_behind(write: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """Give a function that writes a block in its turn. What writing raises is raised by a later call, or at the end."""
    with ThreadPoolExecutor(1, "writing") as pool:
        pending: deque[Future[object]] = deque()

        def enqueue(block: bytes) -> None:
            if len(pending) == _MOST_PENDING_BLOCKS:
                pending.popleft().result()
            pending.append(pool.submit(write, block))

        try:
            yield enqueue
            for each in pending:
                each.result()
        finally:
            pool.shutdown(cancel_futures=True)
