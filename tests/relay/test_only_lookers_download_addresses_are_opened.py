"""A delivery names the address of its rows. Only an address that Looker itself can have created is opened."""

from collections.abc import Mapping

import pytest

from common.bridge_yaml import decode
from common.looker.action import download
from common.platform.errors import DeliveryNotUsable

CLOUD = {"url": "https://acme.cloud.looker.com"}
TWO_HOSTS = {"url": "https://api.example.com:19999", "web_url": "https://bi.example.com"}
IN_A_FOLDER = {"url": "https://api.example.com", "web_url": "https://bi.example.com:8443/looker/api/4.0/"}
TOKEN = "0123456789012345678901234567890123456789"
OWN = f"https://acme.cloud.looker.com/downloads/{TOKEN}"


def opened(settings: Mapping[str, object], url: str) -> str:
    return download.own_address(url, decode({"looker": settings}).looker)


@pytest.mark.parametrize(
    ("settings", "given", "expected"),
    [
        (CLOUD, OWN, OWN),
        (CLOUD, f"https://acme.cloud.looker.com:443/downloads/{TOKEN}", OWN),
        (CLOUD, f"HTTPS://ACME.Cloud.Looker.com/downloads/{TOKEN}", OWN),
        (CLOUD, f"{OWN}?format=csv", f"{OWN}?format=csv"),
        ({"url": "https://Acme.Cloud.Looker.com/"}, OWN, OWN),
        # The API of an older instance has a port or a host of its own; downloads are at the address for people.
        ({"host": "acme.looker.com", "port": 19999}, f"https://acme.looker.com/downloads/{TOKEN}", None),
        ({"host": "acme.looker.com", "port": 19999}, f"https://acme.looker.com:9999/downloads/{TOKEN}", None),
        ({"host": "acme.looker.com", "port": 19999}, f"https://acme.looker.com:19999/downloads/{TOKEN}", None),
        ({"host": "acme", "region": "us-west.looker.com"}, f"https://acme.us-west.looker.com/downloads/{TOKEN}", None),
        (
            {"url": "https://acme.example.com/looker/api/4.0"},
            f"https://acme.example.com/looker/downloads/{TOKEN}",
            None,
        ),
        ({"url": "http://127.0.0.1:8080"}, f"http://127.0.0.1:8080/downloads/{TOKEN}", None),
        # The API and people have hosts of their own.
        (TWO_HOSTS, f"https://bi.example.com/downloads/{TOKEN}", None),
        (
            TWO_HOSTS,
            f"https://BI.example.com:443/downloads/{TOKEN}?a=b",
            f"https://bi.example.com/downloads/{TOKEN}?a=b",
        ),
        (TWO_HOSTS, f"https://api.example.com:19999/downloads/{TOKEN}", None),
        (IN_A_FOLDER, f"https://bi.example.com:8443/looker/downloads/{TOKEN}", None),
        ({"url": "http://[::1]:8080"}, f"http://[::1]:8080/downloads/{TOKEN}", None),
    ],
)
def test_lookers_own_addresses_are_opened(settings: Mapping[str, object], given: str, expected: str | None) -> None:
    assert opened(settings, given) == (expected or given)


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "acme.cloud.looker.com/downloads/x",
        "//acme.cloud.looker.com/downloads/x",
        f" {OWN}",
        f"{OWN}\n",
        f"{OWN}\r\nX-Injected: yes",
        f"{OWN} HTTP/1.1",
        # another scheme
        "http://acme.cloud.looker.com/downloads/x",
        "ftp://acme.cloud.looker.com/downloads/x",
        "file:///downloads/x",
        # another host, or somebody's name before it
        "https://acme.cloud.looker.com@evil.example/downloads/x",
        "https://acme.cloud.looker.com:443@evil.example/downloads/x",
        "https://evil.example#@acme.cloud.looker.com/downloads/x",
        "https://evil.example?@acme.cloud.looker.com/downloads/x",
        "https://evil.example\\@acme.cloud.looker.com/downloads/x",
        "https://acme.cloud.looker.com\\@evil.example/downloads/x",
        "https://acme.cloud.looker.com\\.evil.example/downloads/x",
        "https:\\\\acme.cloud.looker.com/downloads/x",
        "https:/acme.cloud.looker.com/downloads/x",
        "https:///acme.cloud.looker.com/downloads/x",
        "https://user@acme.cloud.looker.com/downloads/x",
        "https://user:password@acme.cloud.looker.com/downloads/x",
        "https://@acme.cloud.looker.com/downloads/x",
        "https://acme.cloud.looker.com.evil.example/downloads/x",
        "https://evil-acme.cloud.looker.com/downloads/x",
        "https://acme%2ecloud.looker.com/downloads/x",
        "https://acme.cloud.looker.com%00.evil.example/downloads/x",
        "https://acme.cloud.looker.com./downloads/x",
        "https://acme.cloud。looker.com/downloads/x",
        "https://аcme.cloud.looker.com/downloads/x",  # its first letter is Cyrillic
        "https://acme.cloud.lo\u212aer.com/downloads/x",
        "https://xn--cme-6cd.cloud.looker.com/downloads/x",
        "https://[::ffff:169.254.169.254]/downloads/x",
        # another port
        "https://acme.cloud.looker.com:8443/downloads/x",
        "https://acme.cloud.looker.com:9999/downloads/x",
        "https://acme.cloud.looker.com:0443/downloads/x",
        "https://acme.cloud.looker.com:٤٤٣/downloads/x",
        "https://acme.cloud.looker.com:/downloads/x",
        "https://acme.cloud.looker.com:99999/downloads/x",
        # another path
        "https://acme.cloud.looker.com",
        "https://acme.cloud.looker.com/downloads",
        "https://acme.cloud.looker.com/downloads/",
        "https://acme.cloud.looker.com/api/4.0/queries/1/run/csv",
        "https://acme.cloud.looker.com/Downloads/x",
        "https://acme.cloud.looker.com//downloads/x",
        "https://acme.cloud.looker.com/x/downloads/x",
        "https://acme.cloud.looker.com/downloads/x/y",
        "https://acme.cloud.looker.com/downloads/.",
        "https://acme.cloud.looker.com/downloads/..",
        "https://acme.cloud.looker.com/downloads/../api/4.0/user",
        "https://acme.cloud.looker.com/downloads/%2e%2e",
        "https://acme.cloud.looker.com/downloads/..%2fapi",
        "https://acme.cloud.looker.com/downloads/x%2f..%2f..%2fapi",
        "https://acme.cloud.looker.com/downloads/..\\api",
        "https://acme.cloud.looker.com/downloads%2fx",
        "https://acme.cloud.looker.com/downloads/x;y",
        "https://acme.cloud.looker.com/downloads/x#y",
        "https://acme.cloud.looker.com/downloads/x?y#z",
        "https://acme.cloud.looker.com/downloads/x?a\\b",
    ],
)
def test_any_other_address_is_refused(url: str) -> None:
    with pytest.raises(DeliveryNotUsable):
        opened(CLOUD, url)


@pytest.mark.parametrize(
    "url",
    [
        "http://bi.example.com/downloads/x",
        "https://bi.example.com:19999/downloads/x",
        "https://bi.example.com:9999/downloads/x",
        "https://other.example.com/downloads/x",
        "https://bi.example.com.evil.example/downloads/x",
        "https://bi.example.com@evil.example/downloads/x",
        "https://bi.example.com/looker/downloads/x",
        "https://bi.example.com/api/4.0/user",
        "https://api.example.com:8443/downloads/x",
    ],
)
def test_besides_the_api_only_the_host_for_people_is_asked(url: str) -> None:
    with pytest.raises(DeliveryNotUsable) as refused:
        opened(TWO_HOSTS, url)

    assert "looker.web_url" in refused.value.next_step or "not the URL of a Looker download" in refused.value.cause


def test_a_folder_belongs_to_its_own_host() -> None:
    with pytest.raises(DeliveryNotUsable):
        opened(IN_A_FOLDER, f"https://api.example.com/looker/downloads/{TOKEN}")
    with pytest.raises(DeliveryNotUsable):
        opened(IN_A_FOLDER, f"https://bi.example.com:8443/downloads/{TOKEN}")


def test_an_instance_of_this_machine_is_not_reached_at_another_port() -> None:
    with pytest.raises(DeliveryNotUsable):
        opened({"url": "http://127.0.0.1:8080"}, f"http://127.0.0.1:8081/downloads/{TOKEN}")


def test_a_refusal_says_what_to_write_and_does_not_repeat_the_token() -> None:
    with pytest.raises(DeliveryNotUsable) as refused:
        opened(CLOUD, f"https://acme.example.com/downloads/{TOKEN}")

    assert "https://acme.example.com" in refused.value.cause
    assert TOKEN not in refused.value.cause
    assert "looker.url" in refused.value.next_step
