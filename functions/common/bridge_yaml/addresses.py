"""What an address names that was copied from a browser into bridge.yaml, where only a part of it belongs.

    /looks/12                               a Look
    /explore/MODEL/VIEW?qid=SLUG            a query
    /explore/MODEL/VIEW                     an Explore

Only numbers, slugs and names of LookML are taken out of an address, because the rest of it can contain anything.
"""

import re

_ADDRESS = re.compile(r"(?i)\s*(https?://|/?(looks|explore)/)")
_LOOK = re.compile(r"/?looks/([0-9]{1,18})")
_SLUG = re.compile(r"[?&]qid=([A-Za-z0-9]{1,40})")
_EXPLORE = re.compile(r"/?explore/([A-Za-z0-9_-]{1,100})/([A-Za-z0-9_]{1,100})")


def is_address(raw: object) -> bool:
    return isinstance(raw, str) and _ADDRESS.match(raw) is not None


def look_in(address: str) -> str:
    """Return the number of a Look in quotes, or an empty text."""
    found = _LOOK.search(address)
    return f'"{found[1]}"' if found else ""


def slug_in(address: str) -> str:
    """Return the slug of a query, or an empty text."""
    found = _SLUG.search(address)
    return found[1] if found else ""


def source_in(address: str) -> str:
    """Return the source of a pull that the address of a page in Looker stands for, or an empty text."""
    if look := look_in(address):
        return f"look: {look}"
    if slug := slug_in(address):
        return f"query: {slug}"
    found = _EXPLORE.search(address)
    return f"explore: {{model: {found[1]}, view: {found[2]}, fields: […]}}" if found else ""
