"""Looker's Action API: every relay is a destination in Looker's Send and Schedule windows.

`parse_path` tells which of the three steps a path is. `listing` and `form` answer the first two; `read` and `fetch`
handle the third, `succeeded` and `failed` are its answers.

Source: looker-open-source/actions, docs/action_api.md; for the shapes of the answers, src/hub/*.ts.
"""

from common.looker.action.destinations import form, listing, parse_path
from common.looker.action.download import fetch
from common.looker.action.execution import ActionOutcome, failed, read, succeeded

__all__ = ["ActionOutcome", "failed", "fetch", "form", "listing", "parse_path", "read", "succeeded"]
