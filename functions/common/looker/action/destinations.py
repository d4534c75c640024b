"""The list of destinations that Looker shows, and the form for one of them."""

import base64
import re
from typing import Literal
from urllib.parse import quote

import msgspec

from common import bridge_yaml

_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#3b2a8c"/>'
    '<path d="M5 16h10m-4-5 5 5-5 5" fill="none" stroke="#fff" stroke-width="2.5"/>'
    '<path d="M20 8h7v7h-7zM20 17h7v7h-7z" fill="#ffb627"/></svg>'
)
_ICON_DATA_URI = f"data:image/svg+xml;base64,{base64.b64encode(_ICON.encode()).decode()}"

_STEP = re.compile(r"/actions/([^/]+)/(form|execute)")


class ActionCall(msgspec.Struct, frozen=True):
    """One step of the Action API, and the relay in its path."""

    step: Literal["list", "form", "execute"]
    relay: str = ""


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    """A destination, as docs/action_api.md defines `ActionDefinition`."""

    name: str
    label: str
    description: str
    url: str
    form_url: str
    supported_action_types: tuple[str, ...]
    supported_formats: tuple[str, ...]
    supported_formattings: tuple[str, ...] = ("unformatted",)
    supported_visualization_formattings: tuple[str, ...] = ("noapply",)
    supported_download_settings: tuple[str, ...] = ("url",)
    "Looker sends an address to fetch the rows from, not the rows: it cuts a push at 5,000 rows, but not `All Results`."
    icon_data_uri: str = _ICON_DATA_URI
    params: tuple[()] = ()
    required_fields: tuple[()] = ()
    uses_oauth: bool = False


class ActionListing(msgspec.Struct, frozen=True):
    """The action hub, as shown on Looker's page Admin > Actions."""

    label: str
    integrations: list[Integration]


class FormOption(msgspec.Struct, frozen=True):
    name: str
    label: str


class ActionFormField(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    label: str
    description: str
    type: str
    options: list[FormOption]
    required: bool
    default: str = ""


class ActionForm(msgspec.Struct, frozen=True):
    fields: list[ActionFormField]


def parse_path(path: str) -> ActionCall | None:
    """Return the step of a path; None if it is not one of the Action API."""
    if path == "/":
        return ActionCall("list")
    found = _STEP.fullmatch(path)
    if found is None:
        return None
    return ActionCall("form" if found[2] == "form" else "execute", found[1])


def listing(bridge: bridge_yaml.Bridge, base_url: str) -> ActionListing:
    """Return every relay as a destination. `base_url` is the address of the list; those in it must be absolute."""
    return ActionListing("Pigment", [_integration(relay, bridge, base_url) for relay in bridge.relays.values()])


def form(bridge: bridge_yaml.Bridge, relay: str) -> ActionForm:
    """Return a choice of all relays, with the one in the path selected."""
    options = [FormOption(each.name, f"{each.name}: {_describe(each, bridge)}") for each in bridge.relays.values()]
    choice = ActionFormField(
        name="relay",
        label="Relay",
        description="Where the rows land in Pigment. Choose All Results as the limit, so that all rows are sent.",
        type="select",
        options=options,
        required=True,
        default=relay if relay in bridge.relays else "",
    )
    return ActionForm([choice])


def _integration(
    relay: bridge_yaml.Relay | bridge_yaml.Signal, bridge: bridge_yaml.Bridge, base_url: str
) -> Integration:
    address = f"{base_url}/actions/{quote(relay.name, safe='')}"
    is_signal = isinstance(relay, bridge_yaml.Signal)
    return Integration(
        name=relay.name,
        label=f"Pigment: {relay.name}",
        description=f"Looker to Pigment: {_describe(relay, bridge)}.",
        url=f"{address}/execute",
        form_url=f"{address}/form",
        # A dashboard has no rows to land, but it can be the signal for a pull.
        supported_action_types=("query", "dashboard") if is_signal else ("query",),
        supported_formats=("csv", "csv_zip") if is_signal else ("csv",),
    )


def _describe(relay: bridge_yaml.AnyRelay, bridge: bridge_yaml.Bridge) -> str:
    if isinstance(relay, bridge_yaml.Signal):
        configuration = bridge.pulls[relay.start].target.configuration
        return f"only a signal that starts the pull {relay.start} into the import configuration {configuration}"
    return f"into the import configuration {relay.target.configuration}"
