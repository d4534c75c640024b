"""An action's rows, downloaded from the address that Looker created for them, for one use within 3,600 seconds.

The address is `<the instance's own host>/downloads/<40 characters>` (Looker docs, "Sharing data through an action hub",
requests to the instance). It must have this path and an origin that bridge.yaml gives for Looker, so that a caller with
the token cannot make this function call anything else. Where people open Looker at another host than its API's, that is
`looker.web_url`, the only other host that is ever asked.
"""

import contextlib
import itertools
import random
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence

import requests

from common import bridge_yaml
from common.looker import answers
from common.looker.client import LookerStream
from common.platform import http
from common.platform.clock import Deadline
from common.platform.errors import DeliveryNotUsable, LookerBusy, LookerRefused, StreamCut
from common.platform.retry import retry
from common.tables.check import Checker, Contract

_SUBJECT = "the rows at the download address"
_ADDRESS = re.compile(
    r"(?P<scheme>(?i:https?))://(?P<host>[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:]{2,45}\])(:(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<folder>(/[A-Za-z0-9._-]+)*?)(?P<download>/downloads/[A-Za-z0-9_-]+(\?[A-Za-z0-9_.=&-]*)?)"
)
"Stricter than any parser of URLs: no user, no percent sign, no fragment. The folder is compared with Looker's own."
_DEFAULT_PORTS = {"http": 80, "https": 443}
_API_PORT = 19999
_PORTS_BESIDE_THE_API = (443, 9999)
"Where people open an instance whose API has a port of its own: hosted by Looker, or by its customer with the defaults."


class Download:
    def __init__(self, stream: LookerStream, warnings: Sequence[str]) -> None:
        self._blocks = stream.blocks()
        # Read at once: until there are rows, the download may begin again.
        self._first = next(self._blocks, b"")
        self.warnings = [*warnings, *stream.warnings]

    def blocks(self) -> Iterator[bytes]:
        """Yield the rows unchanged. Raises StreamCut, QueryFailed, RowsMalformed or OutOfTime if some are missing."""
        checker = Checker(Contract(accepts_error_text=True))  # staging knows if the job does
        for block in itertools.chain([self._first], self._blocks):
            yield checker.feed(block)
        checker.finish()


@contextlib.contextmanager
def fetch(
    url: str,
    looker: bridge_yaml.LookerSettings,
    deadline: Deadline,
    chance: random.Random,
    warnings: Sequence[str] = (),
) -> Iterator[Download]:
    """Begin a download. Raises DeliveryNotUsable if the address is not Looker's, LookerRefused if it was used before or
    has expired, QueryFailed if the answer is not CSV, StreamCut if it breaks off before there are rows, LookerBusy if
    Looker cannot answer now.
    """
    address = own_address(url, looker)
    with http.open_session() as session, contextlib.ExitStack() as streams:

        def begin() -> Download:
            # If a lost answer has used up the address, the next request is refused.
            response = retry(lambda: _ask(session, address, deadline), deadline, chance)
            return Download(streams.enter_context(LookerStream(response, deadline)), warnings)

        try:
            download = begin()
        except StreamCut as cut:
            download = _begin_again(begin, cut)
        yield download


def _begin_again(begin: Callable[[], Download], cut: StreamCut) -> Download:
    """Looker does not document whether an answer without rows uses up the address. Raises the cut if it does."""
    try:
        return begin()
    except LookerRefused:
        raise cut from None


def own_address(url: str, looker: bridge_yaml.LookerSettings) -> str:
    """Return the download address with the host and the port of Looker.

    It is composed of an origin of Looker and of characters without a meaning in a URL, so that no library can read
    another host from it.

    Raises:
        DeliveryNotUsable: it is not one of the addresses that this Looker creates.
    """
    given = _ADDRESS.fullmatch(url)
    if given is None:
        raise DeliveryNotUsable("The download address is not the URL of a Looker download.")
    scheme, host = given["scheme"].lower(), given["host"].lower()
    port = int(given["port"] or _DEFAULT_PORTS[scheme])
    if (scheme, host, port, given["folder"]) not in _origins(looker):
        # Only the origin is quoted: the path is a permission.
        cause = (
            f"The download address is on {scheme}://{given['host']}:{port}; bridge.yaml has Looker on "
            f"{' and '.join(filter(None, (looker.base_url, looker.web_url))) or 'no host'}."
        )
        next_step = (
            "If that is your Looker, set looker.url in bridge.yaml to the address at which people open it, or "
            "looker.web_url if its API has another host."
        )
        raise DeliveryNotUsable(cause, next_step=next_step)
    written_port = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{written_port}{given['folder']}{given['download']}"


def _origins(looker: bridge_yaml.LookerSettings) -> set[tuple[str, str, int, str]]:
    """Return the scheme, host, port and folder of each address at which people may open Looker."""
    web = urllib.parse.urlsplit(looker.web_url)
    given = {(web.scheme, _host(web), _port(web), web.path)} if looker.web_url else set()
    api = urllib.parse.urlsplit(looker.base_url)
    ports = (_API_PORT, *_PORTS_BESIDE_THE_API) if _port(api) == _API_PORT else (_port(api),)
    # The API of older instances has a host of its own: acme.api.us-west.looker.com.
    hosts = (_host(api), _host(api).replace(".api.", ".", 1))
    return given | {(api.scheme, host, port, api.path) for host in hosts for port in ports}


def _host(url: urllib.parse.SplitResult) -> str:
    return url.netloc.lower().removesuffix(f":{url.port}")


def _port(url: urllib.parse.SplitResult) -> int:
    return url.port or _DEFAULT_PORTS.get(url.scheme, 0)


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
