"""Looker's webhook deliveries: `read` turns the body of a request into a `Delivery`, in every format that has rows."""

from common.looker.webhook.delivery import Delivery, read

__all__ = ["Delivery", "read"]
