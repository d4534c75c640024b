"""Cloud Storage on this machine, for Google's own client: the JSON API over one folder.

What it keeps to, because the bridge leans on it: every precondition is decided under one lock, a write is whole or
absent, and what was acknowledged outlives a kill -9. What it leaves out: access control, holds, lifecycle rules and the
XML API.
"""

from local.sandbox.storage.object import Notice
from local.sandbox.storage.site import SandboxStorage

__all__ = ["Notice", "SandboxStorage"]
