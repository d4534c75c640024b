"""Read from and write to Cloud Storage in a thread, while other blocks are checked, compared or sent."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

_BATCH_BYTES = 1024 * 1024
"What the thread that writes is given at a time: waking it up for each block would take longer."
_MOST_PENDING_BATCHES = 4


def read_ahead(
    blocks: Iterator[bytes], most: int = 1, stop: Callable[[], None] = lambda: None
) -> Generator[bytes, None, None]:
    """Yield blocks, and read the next ones while the caller has one. What reading raises is raised in its place.

    Args:
        most: how many blocks wait for the caller.
        stop: called if nobody wants the rest, to end the reading of a block that has begun and could take long.
    """
    with ThreadPoolExecutor(1, "reading") as pool:
        following = deque(pool.submit(next, blocks, b"") for _ in range(most))
        try:
            while block := following.popleft().result():
                following.append(pool.submit(next, blocks, b""))
                yield block
        except BaseException:
            stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def written_behind(write: Callable[[bytes], object]) -> Iterator[Callable[[bytes], None]]:
    """Give a function that writes a block in its turn. What writing raises is raised by a later call, or at the end."""
    with ThreadPoolExecutor(1, "writing") as pool:
        pending: deque[Future[object]] = deque()
        batch: list[bytes] = []

        def write_each(blocks: Iterable[bytes]) -> None:
            for block in blocks:
                write(block)

        def enqueue(block: bytes) -> None:
            batch.append(block)
            if sum(map(len, batch)) < _BATCH_BYTES:
                return
            if len(pending) == _MOST_PENDING_BATCHES:
                pending.popleft().result()
            pending.append(pool.submit(write_each, tuple(batch)))
            batch.clear()

        try:
            yield enqueue
            for each in pending:
                each.result()
            write_each(batch)
        finally:
            pool.shutdown(cancel_futures=True)
