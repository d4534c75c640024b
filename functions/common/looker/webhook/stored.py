"""A delivery as it is stored in the inbox: its rows as CSV, and what was known of them when it arrived."""

import contextlib
from collections.abc import Iterator

import msgspec

from common.looker.webhook.delivery import Accepted, read
from common.looker.webhook.formatted import watched
from common.platform.errors import DeliveryNotUsable, StorageBusy, StorageRefused, as_bridge_error
from common.storage import inbox
from common.storage.bucket import Bucket
from common.storage.inbox import WaitingDelivery


class DeliveredRows(msgspec.Struct, frozen=True):
    """The rows of a delivery as CSV, with the warnings about them."""

    blocks: Iterator[bytes]
    warnings: list[str]
    "Complete once the rows have been read."
    row_limit: int | None
    "The limit of Looker's query, at which the rows are cut."
    width: int | None
    "The number of columns of Looker's query, if that is certain."
    is_empty: bool = False
    "Whether there is not even a header."


def open_delivery(bucket: Bucket, delivery: WaitingDelivery, accepted: Accepted) -> DeliveredRows:
    """Open a stored delivery. Raises DeliveryNotUsable or another error that concerns the content if it has no rows."""
    with _reading():
        warnings = [delivery.metadata[inbox.WARNINGS]] if inbox.WARNINGS in delivery.metadata else []
        if delivery.content_type == "text/csv":
            limit, width = (_number(delivery.metadata.get(name)) for name in (inbox.ROW_LIMIT, inbox.WIDTH))
            blocks = bucket.blocks(delivery.path)
            return DeliveredRows(_read(watched(blocks, warnings)), warnings, limit, width)
        posted = read(bucket.read(delivery.path), accepted)
        warnings = [*posted.warnings, *warnings]
        blocks = _read(posted.csv_blocks())
        return DeliveredRows(blocks, warnings, posted.row_limit, posted.width, posted.is_empty)


def _number(digits: str | None) -> int | None:
    return int(digits) if digits else None


def _read(blocks: Iterator[bytes]) -> Iterator[bytes]:
    with _reading():
        yield from blocks


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """Convert what reading stored bytes raises: unless storage is at fault, every later attempt would fail as well."""
    try:
        yield
    except (StorageBusy, StorageRefused):
        raise
    except Exception as error:
        failure = as_bridge_error(error)
        if failure.concerns_content:
            raise
        cause = f"The stored delivery cannot be read. {failure.cause}"
        raise DeliveryNotUsable(cause, next_step=failure.next_step) from error
