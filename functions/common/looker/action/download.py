"""An action's rows, downloaded from the address that Looker created for them, for one use within 3,600 seconds.

The address is `<the instance's own host>/downloads/<40 characters>` (Looker docs, "Sharing data through an action hub",
requests to the instance). It must have the host that bridge.yaml gives for Looker, so that a caller with the token
cannot make this function call any other host.
"""

import contextlib
import random
import urllib.parse
from collections.abc import Iterator

import requests

from common import bridge_yaml
from common.looker import answers
from common.looker.client import LookerStream
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import DeliveryNotUsable, LookerBusy, LookerRefused
from common.platform.retry import retry
from common.tables.check import Checker, Contract

_SUBJECT = "the rows at the download address"


class Download:
    def __init__(self, stream: LookerStream) -> None:
        self._stream = stream
        self.warnings = stream.warnings

    def blocks(self) -> Iterator[bytes]:
        """Yield the rows unchanged. Raises StreamCut, QueryFailed, RowsMalformed or OutOfTime if some are missing."""
        checker = Checker(Contract())
        for block in self._stream.blocks():
            yield checker.feed(block)
        checker.finish()


@contextlib.contextmanager
def fetch(
    url: str, looker: bridge_yaml.LookerSettings, deadline: Deadline, chance: random.Random
) -> Iterator[Download]:
    """Begin a download. Raises DeliveryNotUsable if the address is not Looker's, LookerRefused if it was used before or
    has expired, QueryFailed if the answer is not CSV, LookerBusy if Looker cannot answer now.
    """
    _expect_looker_address(url, looker)
    with http.open_session() as session:
        # If a lost answer has used up the address, the next request is refused.
        response = retry(lambda: _ask(session, url, deadline), deadline, chance)
        with LookerStream(response, deadline) as stream:
            yield Download(stream)


def _expect_looker_address(url: str, looker: bridge_yaml.LookerSettings) -> None:
    own = urllib.parse.urlsplit(looker.base_url)
    try:
        given = urllib.parse.urlsplit(url)
        host = given.hostname
    except ValueError:
        raise DeliveryNotUsable("The download address is not a URL.") from None
    # The API of older instances has a host of its own: acme.api.us-west.looker.com.
    hosts = {own.hostname, (own.hostname or "").replace(".api.", ".", 1)}
    if not host or host not in hosts:
        next_step = "If that is your Looker, set looker.url in bridge.yaml to the address at which people open it."
        cause = (
            f"The download address is on {host or 'no host'}; bridge.yaml has Looker on {own.hostname or 'no host'}."
        )
        raise DeliveryNotUsable(cause, next_step=next_step)
    # bridge.yaml accepts http only for an address of this machine.
    if given.scheme not in ("https", own.scheme) or given.username is not None:
        raise DeliveryNotUsable("The download address is not https, or contains a user name.")


def _ask(session: requests.Session, url: str, deadline: Deadline) -> requests.Response:
    timeout = (http.CONNECT_TIMEOUT_S, http.patience_s(deadline))
    try:
        response = session.get(url, auth=_no_auth, stream=True, allow_redirects=False, timeout=timeout)
    except requests.RequestException as error:
        raise answers.unreachable(error) from error
    if http.accepted(response):
        return answers.expect_csv(response, _SUBJECT)
    with response:
        # Looker's words are not quoted: they may repeat the address.
        refusal = answers.refusal(response, _SUBJECT, deadline, is_quoted=False)
    if isinstance(refusal, LookerBusy):
        raise refusal
    cause = f"Looker's download address answered {response.status_code}. It can be used once, within an hour."
    raise LookerRefused(cause, next_step="Send it again in Looker, which creates a new address each time.")


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """The address is the only permission. Without this, `requests` would add credentials from a `.netrc`."""
    return request
