"""Local Cloud Storage for Google's own client: the JSON API over one folder.

The bridge relies on three guarantees: preconditions are checked under one lock, a write is complete or absent, and an
acknowledged write survives kill -9. Access control, holds, lifecycle rules and the XML API are not supported.
"""

from local.sandbox.storage.object import Notice
from local.sandbox.storage.site import SandboxStorage

__all__ = ["Notice", "SandboxStorage"]
