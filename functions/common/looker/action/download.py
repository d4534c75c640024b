"""An action's rows, fetched from the address that Looker made for them: one use, 3,600 seconds.

The address is `<the instance's own host>/downloads/<40 characters>` (Looker docs, "Sharing data through an action hub",
requests to the instance). So it has to bear the host that bridge.yaml gives for Looker: whoever holds the token cannot
make this function call any other.
"""

import contextlib
import random
import urllib.parse
from collections.abc import Iterator

import requests

from common import bridge_yaml
from common.looker.client import LookerStream
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import BridgeError, DeliveryNotUsable, LookerBusy, LookerRefused, QueryFailed
from common.platform.retry import retry, retry_after_s
from common.tables.csv import Checker, Contract


class Download:
    """Rows on their way."""

    def __init__(self, stream: LookerStream) -> None:
        self._stream = stream
        self.warnings = stream.warnings

    def blocks(self) -> Iterator[bytes]:
        """The rows as they are; nothing after an error can be taken for their end.

        Raises:
            StreamCut, QueryFailed, RowsMalformed: they did not come whole.
            OutOfTime: they did not come in time.
        """
        checker = Checker(Contract())
        for block in self._stream.blocks():
            yield checker.feed(block)
        checker.finish()


@contextlib.contextmanager
def fetch(
    url: str, looker: bridge_yaml.LookerSettings, deadline: Deadline, chance: random.Random
) -> Iterator[Download]:
    """Begin a download.

    Raises:
        DeliveryNotUsable: the address is not Looker's.
        LookerRefused: it was used before, or has expired.
        QueryFailed: no rows come from it.
        LookerBusy: it does not answer.
    """
    _expect_lookers_own(url, looker)
    with http.open_session() as session:

        def ask() -> requests.Response:
            return _ask(session, url, deadline)

        # An address that a lost answer has used up says so the next time.
        with LookerStream(retry(ask, deadline, chance), deadline) as stream:
            yield Download(stream)


def _expect_lookers_own(url: str, looker: bridge_yaml.LookerSettings) -> None:
    own = urllib.parse.urlsplit(looker.base_url)
    try:
        given = urllib.parse.urlsplit(url)
        host = given.hostname
    except ValueError:
        raise DeliveryNotUsable("The download address is none.") from None
    # The API of older instances has a host of its own: acme.api.us-west.looker.com.
    hosts = {own.hostname, (own.hostname or "").replace(".api.", ".", 1)}
    if not host or host not in hosts:
        raise DeliveryNotUsable(
            f"The download address is on {host or 'no host'}, and bridge.yaml has Looker on {own.hostname or 'none'}.",
            next_step="If that is your Looker, set looker.url in bridge.yaml to the address that people open it by.",
        )
    # bridge.yaml takes http for an address of this machine alone.
    if given.scheme not in ("https", own.scheme) or given.username is not None:
        raise DeliveryNotUsable("The download address is not https, or bears a name to log in by.")


def _ask(session: requests.Session, url: str, deadline: Deadline) -> requests.Response:
    timeout = (http.CONNECT_TIMEOUT_S, http.patience_s(deadline))
    try:
        response = session.get(url, auth=_as_nobody, stream=True, allow_redirects=False, timeout=timeout)
    except requests.RequestException as error:
        raise LookerBusy(f"Looker cannot be reached to fetch the rows: {http.kind_of(error)}.") from error
    if not http.accepted(response):
        with response:
            raise _refusal(response, deadline)
    kind = response.headers.get("Content-Type", "")
    if "json" in kind or "html" in kind:
        response.close()
        raise QueryFailed(f"Looker's download address answered with {kind.partition(';')[0]}, not CSV.")
    return response


def _as_nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The address is all the permission there is; without this `requests` would add what a `.netrc` holds."""
    return request


def _refusal(response: requests.Response, deadline: Deadline) -> BridgeError:
    status = response.status_code
    if status in http.BUSY_STATUSES:
        wait_s = retry_after_s(response.headers.get("Retry-After"), deadline.clock.now())
        return LookerBusy(f"Looker's download address answered {status}.", retry_after_s=wait_s)
    return LookerRefused(
        f"Looker's download address answered {status}: it is good for one use within an hour.",
        next_step="Send it again in Looker; each sending gets an address of its own.",
    )
