"""The object of an export: its public name, and the temporary file that becomes it."""

from common.runs.receipts import Receipt
from common.storage import paths
from common.storage.store import Store


def locate(store: Store, receipt: Receipt) -> tuple[Store, str]:
    """Return the bucket and the path of an export's public name."""
    bucket, _, path = (receipt.object or "").removeprefix("gs://").partition("/")
    return (store if bucket == store.name else store.beside(bucket)), path


def is_published(store: Store, receipt: Receipt) -> bool:
    """Whether the object at the public name is the one of this run; its metadata names the run."""
    bucket, path = locate(store, receipt)
    found = bucket.look_at(path)
    return found is not None and found.metadata.get("run") == receipt.run


def discard(store: Store, run: str) -> None:
    """Delete the temporary files of a run."""
    for name in list(store.names(paths.temporary(run))):
        store.delete(name)
