"""What Looker's webhooks deliver: `read` takes a request's body, whatever its shape, and gives a `Delivery`."""

from common.looker.webhook.delivery import Delivery, read

__all__ = ["Delivery", "read"]
