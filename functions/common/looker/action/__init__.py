"""Looker's Action API: every relay is a destination in Looker's own Send and Schedule windows.

`called` tells which of its three steps a path is; `listing` and `form` answer the first two, `read` and `fetch` serve
the third, `succeeded` and `failed` are its answers.

Source: looker-open-source/actions, docs/action_api.md, and for the shapes of the answers src/hub/*.ts.
"""

from common.looker.action.download import fetch
from common.looker.action.execution import ActionOutcome, Execution, failed, read, succeeded
from common.looker.action.offer import ActionCall, called, form, listing

__all__ = [
    "ActionCall",
    "ActionOutcome",
    "Execution",
    "called",
    "failed",
    "fetch",
    "form",
    "listing",
    "read",
    "succeeded",
]
