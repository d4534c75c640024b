"""The object of an export: its public name, and the temporary file that becomes it."""

from common.runs.receipts import Receipt
from common.storage import paths
from common.storage.bucket import Bucket


def locate(bucket: Bucket, receipt: Receipt) -> tuple[Bucket, str]:
    """Return the bucket and the path of an export's public name."""
    name, _, path = (receipt.object or "").removeprefix("gs://").partition("/")
    return (bucket if name == bucket.name else bucket.beside(name)), path


def is_published(bucket: Bucket, receipt: Receipt) -> bool:
    """Whether the object at the public name is the one of this run; its metadata names the run."""
    target, path = locate(bucket, receipt)
    found = target.find(path)
    return found is not None and found.metadata.get("run") == receipt.run


def discard(bucket: Bucket, run: str) -> None:
    """Delete the temporary files of a run."""
    for name in list(bucket.names(paths.temporary(run))):
        bucket.delete(name)
