"""A Looker instance on this machine: API 4.0 over CSV files."""

from local.sandbox.looker.explores import Explore
from local.sandbox.looker.site import Looker

__all__ = ["Explore", "Looker"]
