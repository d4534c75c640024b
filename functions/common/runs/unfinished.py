"""What the last run of a job has sent, if the cursor does not say so: `staged/_unfinished/<job>.json`.

Into a repeatable target, rows are sent again that landed only in part, or of which it is not known whether they landed.
Until a later run has landed, the block may have them, none of them, or some; and the cursor is at the landing before.
"""

from common.runs.cursors import LastLanding
from common.storage import paths
from common.storage.bucket import Bucket


def note(bucket: Bucket, job: str, sent: LastLanding) -> None:
    """Note what a run has sent, as the cursor would be if all of it had landed."""
    bucket.write_json(paths.unfinished(job), sent, over=None)


def since(bucket: Bucket, job: str, landed: LastLanding | None) -> LastLanding | None:
    """Return what was sent since the last landing; None if that is the last that was sent."""
    stored = bucket.read_json(paths.unfinished(job), LastLanding)
    if stored is None or stored.value.previous != (landed.run if landed else None):
        return None
    return stored.value
