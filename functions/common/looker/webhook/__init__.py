"""Looker's webhook deliveries: `read` turns the body of a request into a `Delivery`, in every format that has rows.
`watched` adds the warnings about rows that came alone.
"""

from common.looker.webhook.delivery import Accepted, Delivery, read
from common.looker.webhook.formatted import watched

__all__ = ["Accepted", "Delivery", "read", "watched"]
