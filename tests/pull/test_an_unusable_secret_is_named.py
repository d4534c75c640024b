"""A key with an invisible character, or with more than the key around it, is reported as such, never as its result."""

import dataclasses
import json

import pytest

from common.platform import keys
from tests.support.world import EXPORT_KEY, LOOKER_SECRET, PIGMENT_KEY, WEBHOOK_TOKEN, World, delivery


@dataclasses.dataclass(frozen=True)
class Around:
    """A way to spoil a key, and what is said about it."""

    before: str
    after: str
    words: str

    def spoil(self, key: str) -> str:
        return self.before + key + self.after


SPOILED = {
    "a byte order mark": Around("\ufeff", "", "contains a byte order mark (U+FEFF) at position 1"),
    "a byte order mark after a line end": Around("\n\ufeff", "", "byte order mark (U+FEFF) at position 1"),
    "a zero-width space at the end": Around("", "\u200b", "zero width space (U+200B) at position"),
    "a soft hyphen": Around("abcd\u00ad", "", "contains soft hyphen (U+00AD) at position 5"),
    "a no-break space": Around("abcd\u00a0", "", "contains no-break space (U+00A0) at position 5"),
    "a line end": Around("abcd\n", "", "contains a line end at position 5"),
    "a line end of Windows": Around("abcd\r\n", "", "contains a line end at position 5"),
    "a zero byte": Around("abcd\0", "", "contains a control character (U+0000) at position 5"),
    "double quotes": Around('"', '"', "is in quotes"),
    "single quotes": Around("'", "'", "is in quotes"),
    "the scheme Bearer": Around("Bearer ", "", "begins with `Bearer `"),
    "a whole header": Around("Authorization: Bearer ", "", "begins with `Authorization:`"),
    "a letter that is not ASCII": Around("abcd\u00e9", "", "contains a character that is not ASCII at position 5"),
}


@pytest.mark.parametrize("around", SPOILED.values(), ids=SPOILED.keys())
def test_a_pull_names_what_is_wrong_with_pigments_key(world: World, around: Around) -> None:
    world.secrets.put("pigment-import-key", around.spoil(PIGMENT_KEY))

    refused = world.run_pull("flights")

    assert (refused.status, refused.code) == (500, "secret_unreadable"), refused.body
    assert around.words in refused.error["message"]
    assert "pigment-import-key" in refused.error["message"]
    assert "gcloud secrets versions add pigment-import-key" in refused.error["next_step"]
    assert PIGMENT_KEY not in json.dumps(refused.body)
    world.secrets.put("pigment-import-key", PIGMENT_KEY)
    assert world.run_pull("flights").receipt["outcome"] == "landed"


@pytest.mark.parametrize("around", SPOILED.values(), ids=SPOILED.keys())
@pytest.mark.parametrize("field", [pytest.param("client_id", marks=pytest.mark.slow), "client_secret"])
def test_a_pull_names_what_is_wrong_with_a_field_of_lookers_credentials(
    world: World, field: str, around: Around
) -> None:
    good = {"client_id": "bridge", "client_secret": LOOKER_SECRET}
    spoiled = around.spoil(good[field])
    world.secrets.put("looker-api", json.dumps(good | {field: spoiled}, ensure_ascii=False))

    refused = world.run_pull("flights")

    assert (refused.status, refused.code) == (500, "secret_unreadable"), refused.body
    words = around.words if spoiled == spoiled.strip() else "begins or ends with white space"
    assert f"The secret looker-api has a {field} that" in refused.error["message"]
    assert words in refused.error["message"]
    assert LOOKER_SECRET not in json.dumps(refused.body)
    world.secrets.put("looker-api", json.dumps(good, indent=2))
    assert world.run_pull("flights").receipt["outcome"] == "landed"


@pytest.mark.parametrize(
    ("before", "words"),
    [("\ufeff", "byte order mark (U+FEFF) at position 1"), ("{\u200b", "zero width space (U+200B) at position 2")],
)
def test_json_with_a_character_outside_its_fields_is_refused_with_its_position(
    world: World, before: str, words: str
) -> None:
    good = json.dumps({"client_id": "bridge", "client_secret": LOOKER_SECRET})
    world.secrets.put("looker-api", before + good)

    refused = world.run_pull("flights")

    assert refused.code == "secret_unreadable"
    assert words in refused.error["message"]


@pytest.mark.parametrize("around", SPOILED.values(), ids=SPOILED.keys())
def test_a_delivery_is_told_what_is_wrong_with_the_token(world: World, around: Around) -> None:
    world.add_relay("sales")
    world.secrets.disable("looker-webhook-token", 1)
    world.secrets.put("looker-webhook-token", around.spoil(WEBHOOK_TOKEN))

    refused = world.post_delivery("sales", delivery(("1", "1")))

    assert (refused.status, refused.code) == (500, "secret_unreadable")
    assert around.words in refused.error["message"]
    assert WEBHOOK_TOKEN not in json.dumps(refused.body)


def test_an_unusable_new_version_leaves_the_old_token_valid(world: World) -> None:
    world.add_relay("sales")
    world.secrets.put("looker-webhook-token", "\ufeffthe-next-token")

    assert world.post_delivery("sales", delivery(("1", "1"))).status == 200
    refused = world.post_delivery("sales", delivery(("1", "1")), token="the-next-token")
    assert refused.code == "secret_unreadable"
    assert "byte order mark" in refused.error["message"]


def test_an_export_names_what_is_wrong_with_pigments_key(world: World) -> None:
    world.add_export("revenue")
    world.secrets.put("pigment-export-key", "\ufeff" + EXPORT_KEY)

    refused = world.run_export("revenue")

    assert (refused.status, refused.code) == (500, "secret_unreadable"), refused.body
    assert "byte order mark" in refused.error["message"]


def test_white_space_around_a_key_is_ignored(world: World) -> None:
    world.secrets.put("pigment-import-key", f"  {PIGMENT_KEY}\r\n")

    assert world.run_pull("flights").receipt["outcome"] == "landed"


def test_a_payload_that_was_damaged_once_is_read_again(world: World) -> None:
    world.secrets.damage("pigment-import-key")

    assert world.run_pull("flights").receipt["outcome"] == "landed"


@pytest.mark.parametrize("name", ["pigment-import-key", "looker-api"])
def test_a_payload_that_does_not_match_its_checksum_is_not_used(world: World, name: str) -> None:
    world.secrets.damage(name, times=2)

    refused = world.run_pull("flights")

    assert (refused.status, refused.code) == (500, "secret_unreadable")
    assert f"The secret {name} was damaged on its way" in refused.error["message"]
    assert world.run_pull("flights").receipt["outcome"] == "landed"


def test_no_fault_shows_a_visible_character_of_the_key() -> None:
    assert keys.fault_of("pgmt_é") == "contains a character that is not ASCII at position 6"
