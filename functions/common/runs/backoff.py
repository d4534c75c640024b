"""How long the deliveries into a configuration wait, because a vendor said so: `waits/<configuration>.json`.

It is only a hint that saves work: without it, the next call tries again earlier than the vendor asked. Like a lease, it
is judged by its age on Cloud Storage's clock.
"""

import msgspec

from common.platform.errors import BridgeError, ErrorReport
from common.platform.log import log
from common.storage import paths
from common.storage.bucket import Bucket

_LONGEST_S = 3600.0
"A vendor that asks for more is asked again after an hour."


class VendorWait(msgspec.Struct, frozen=True):
    wait_s: float
    "From the moment at which it was stored."
    error: ErrorReport
    "Why the first of the deliveries waits."


def note(bucket: Bucket, configuration: str, error: ErrorReport) -> None:
    """Store for how long a vendor accepts no attempt, if the error says so."""
    if not error.retry_after_s:
        return
    wait = VendorWait(min(error.retry_after_s, _LONGEST_S), error)
    try:
        bucket.write_json(paths.wait(configuration), wait, over=None)
    except BridgeError as failure:
        log.warning("wait not recorded", code=failure.code, cause=failure.cause)


def current(bucket: Bucket, configuration: str) -> ErrorReport | None:
    """Return why the deliveries of a configuration still wait, and for how long; None if they need not."""
    path = paths.wait(configuration)
    stored = bucket.read_dated(path, VendorWait)
    if stored is None:
        return None
    left_s = stored.left_s(stored.value.wait_s)
    if left_s <= 0:
        bucket.delete(path, generation=stored.generation)
        return None
    return msgspec.structs.replace(stored.value.error, retry_after_s=left_s)
