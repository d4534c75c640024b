"""Local Looker: API 4.0 over CSV files."""

from local.sandbox.looker.explores import Explore
from local.sandbox.looker.site import SandboxLooker

__all__ = ["Explore", "SandboxLooker"]
