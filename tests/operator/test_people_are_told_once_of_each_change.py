"""With `notify`, a sweep tells people when the state of a job changes, once for each change."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.bridge_yaml import NotifyEvent, NotifyFormat
from common.notify.changes import ToldState, about_to_tell, event_to_tell, state_after, told
from common.notify.messages import JobNews, message
from common.status.standing import StandingName
from common.storage import paths
from local.sandbox.pigment import RowEdit
from local.sandbox.wire import Request, Response, Server
from tests.support.chat_services import ChatServices, faults
from tests.support.command_line import run
from tests.support.read_back import AA, fill_list
from tests.support.served import write_files
from tests.support.world import CONFIGURATION, EXPORTS, PUSH, World

HOUR_S = 3600.0
ALL = get_args(NotifyEvent)
PAGE = "https://storage.cloud.google.com/acme-bridge/status/index.html"


class Chat:
    """The bridge's view of a service, and what the service has received."""

    def __init__(self, world: World, server: Server, services: ChatServices) -> None:
        self.world, self.server, self.services = world, server, services

    def set_up(self, format_: str = "json", **how: Any) -> None:
        self.world.secrets.put("chat-address", f"{self.server.url}/{format_}")
        self.world.raw["notify"] = {"webhook": "chat-address", "format": format_, **how}
        self.world.save_jobs()

    def news(self) -> list[tuple[str, str]]:
        """Sweep, and return what people were told since the last call: job and event."""
        self.world.run_deliver()
        messages, self.services.messages = self.services.messages, []
        return [(each["job"], each["event"]) for one in messages for each in one["news"]]

    def fail_pulls(self) -> None:
        self.world.pigment_server.fault(PUSH, times=-1, refuse=Response(403, b"{}"))

    def pull(self) -> str:
        self.world.clock.advance(60)
        return str(self.world.run_pull("flights").receipt["outcome"])


@pytest.fixture
def chat(world: World) -> Iterator[Chat]:
    services = ChatServices()
    with Server(services) as server:
        here = Chat(world, server, services)
        here.set_up()
        yield here


def test_a_failure_and_the_recovery_are_told_once_each(chat: Chat) -> None:
    assert chat.news() == []
    chat.fail_pulls()
    assert chat.pull() == "failed"
    assert chat.news() == [("flights", "failed")]
    assert chat.pull() == "failed"
    assert chat.news() == chat.news() == []

    chat.world.pigment_server.heal()
    assert chat.pull() == "landed"
    assert chat.news() == [("flights", "recovered")]
    assert chat.news() == []


def test_a_message_says_what_happened_and_what_to_do(chat: Chat) -> None:
    chat.world.add_pull("flights", title="Flights, in Sales planning")
    chat.fail_pulls()
    chat.pull()
    error = chat.world.receipts()[-1]["error"]
    chat.world.run_deliver()

    ((news,),) = (one["news"] for one in chat.services.messages)
    assert news["reason"] == error["message"]
    assert news["next_step"] == error["next_step"]
    assert (news["title"], news["rows_read"]) == ("Flights, in Sales planning", 5)


def test_a_job_that_is_late_is_told_once(chat: Chat) -> None:
    chat.world.add_pull("flights", schedule="15 6 * * *")
    assert chat.news() == []
    chat.world.clock.advance(26 * HOUR_S)

    assert chat.news() == [("flights", "late")]
    chat.world.clock.advance(HOUR_S)
    assert chat.news() == []


def test_several_jobs_of_one_address_are_one_message(chat: Chat) -> None:
    chat.world.add_pull("other")
    chat.fail_pulls()
    chat.world.run_pull("other")
    chat.pull()
    chat.world.run_deliver()

    assert len(chat.services.messages) == 1
    assert {each["job"] for each in chat.services.messages[0]["news"]} == {"flights", "other"}


def test_a_job_has_its_own_address_or_none(chat: Chat) -> None:
    chat.world.add_pull("quiet", notify={"webhook": "chat-address", "format": "json", "events": []})
    chat.world.add_pull("slack", notify={"webhook": "slack-address", "format": "slack"})
    chat.world.secrets.put("slack-address", f"{chat.server.url}/slack")
    chat.fail_pulls()
    for job in ("quiet", "slack"):
        chat.world.run_pull(job)

    chat.world.run_deliver()

    (one,) = chat.services.messages
    assert "slack failed" in one["text"]


def test_without_notify_nothing_is_stored(world: World) -> None:
    world.run_deliver()

    assert paths.TOLD not in world.objects(paths.STATUS)


@pytest.mark.parametrize(
    "fault",
    [
        {"refuse": Response(503, b"busy")},
        {"refuse": Response(429, b"rate_limited", {"Retry-After": "30"})},
        {
            "refuse": Response(
                200, b"Webhook message delivery failed with error: Microsoft Teams endpoint returned 429."
            )
        },
    ],
    ids=["503", "429", "a failure in a 200"],
)
def test_a_message_that_was_refused_is_sent_by_later_sweeps_until_it_is_taken(
    chat: Chat, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.server.fault("POST .*", times=4, **fault)

    assert [chat.news() for _ in range(5)] == [[], [], [], [], [("flights", "failed")]]
    assert chat.news() == []
    lines = [each.msg for each in caplog.records if isinstance(each.msg, dict)]
    assert [line["secret"] for line in lines if line["event"] == "notification not sent"] == ["chat-address"] * 4


def test_a_message_that_a_service_redirects_was_not_taken(chat: Chat) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.server.fault("POST .*", times=1, refuse=Response(302, b"", {"Location": "https://login.example/"}))

    assert [chat.news() for _ in range(3)] == [[], [("flights", "failed")], []]


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/json", "http://no-such-host.invalid/json", "ftp://a/json", "http://a..b/json"]
)
def test_a_message_whose_service_cannot_be_reached_is_sent_once_it_can(chat: Chat, address: str) -> None:
    chat.world.secrets.put("chat-address", address)
    chat.fail_pulls()
    chat.pull()
    assert [chat.news() for _ in range(3)] == [[], [], []]

    chat.world.secrets.put("chat-address", f"{chat.server.url}/json")

    assert chat.news() == [("flights", "failed")]


def test_a_message_whose_answer_was_lost_is_sent_once_more_and_then_no_more(chat: Chat) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.server.fault("POST .*", times=-1, reset_after=True)

    assert [chat.news() for _ in range(4)] == [[("flights", "failed")], [("flights", "failed")], [], []]


def test_a_sweep_that_was_killed_after_it_told_tells_at_most_once_more(chat: Chat) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.world.run_deliver()
    stored = chat.world.bucket.read_json(paths.TOLD, dict[str, ToldState])
    assert stored is not None
    # As it was before the last note.
    noted = {"flights": about_to_tell(ToldState(), "failed")}
    chat.world.bucket.write_json(paths.TOLD, noted, over=stored.generation)
    chat.services.messages = []

    assert [chat.news() for _ in range(3)] == [[("flights", "failed")], [], []]


def test_a_recovery_is_told_only_to_people_who_were_told_of_what_was_wrong(chat: Chat) -> None:
    chat.set_up(events=["late", "recovered"])
    chat.fail_pulls()
    chat.pull()
    assert chat.news() == []

    chat.world.pigment_server.heal()
    chat.pull()

    assert chat.news() == []


def test_a_note_that_cannot_be_read_is_made_again(chat: Chat) -> None:
    chat.world.bucket.write_json(paths.TOLD, ["not", "a", "note"], over=None)
    chat.fail_pulls()
    chat.pull()

    assert [chat.news() for _ in range(2)] == [[("flights", "failed")], []]


def test_a_service_that_does_not_answer_does_not_keep_others_from_being_told(chat: Chat) -> None:
    chat.world.add_pull("slow", notify={"webhook": "slow-address", "format": "json"})
    chat.world.raw["pulls"] = dict(reversed(chat.world.raw["pulls"].items()))
    chat.world.save_jobs()
    chat.world.secrets.put("slow-address", f"{chat.server.url}/slow")
    chat.server.fault("POST /slow", times=-1, refuse=Response(503, b"busy"), act=lambda: chat.world.clock.advance(5.1))
    chat.fail_pulls()
    for job in ("slow", "flights"):
        chat.world.run_pull(job)

    assert ("flights", "failed") in [each for _ in range(8) for each in chat.news()]


def test_a_message_is_noted_before_it_is_sent(chat: Chat) -> None:
    noted: list[ToldState] = []

    def look() -> None:
        stored = chat.world.bucket.read_json(paths.TOLD, dict[str, ToldState])
        noted.append(stored.value["flights"] if stored else ToldState())

    chat.fail_pulls()
    chat.pull()
    chat.server.fault("POST .*", act=look)

    assert chat.news() == [("flights", "failed")]
    assert noted == [ToldState("good", "failed", 1)]


def test_nobody_is_told_while_the_note_cannot_be_written(chat: Chat) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.world.run_deliver()
    chat.services.messages = []
    chat.world.pigment_server.heal()
    chat.pull()
    chat.world.storage_server.fault("GET .*told.*", times=-1, refuse=Response(403, b"{}"))
    assert chat.news() == []

    chat.world.storage_server.heal()
    assert chat.news() == [("flights", "recovered")]


def test_the_address_is_never_logged(chat: Chat, caplog: pytest.LogCaptureFixture) -> None:
    chat.world.secrets.put("chat-address", "http://127.0.0.1:1/services/T0/B0/a-secret-part")
    chat.fail_pulls()
    chat.pull()

    assert chat.world.run_deliver().status == 200

    text = " ".join(str(record.msg) for record in caplog.records)
    assert "notification not sent" in text
    assert "a-secret-part" not in text


def test_a_new_address_is_used_by_the_next_sweep(chat: Chat) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.server.fault("POST /json", times=1, refuse=Response(404, b"no_service"))
    assert chat.news() == []

    chat.world.secrets.put("chat-address", f"{chat.server.url}/slack")
    chat.world.raw["notify"]["format"] = "slack"
    chat.world.save_jobs()
    chat.world.run_deliver()

    assert len(chat.services.messages) == 1


def test_check_reads_the_secret_of_the_address(chat: Chat) -> None:
    chat.world.raw["notify"]["webhook"] = "no-such-secret"
    chat.world.save_jobs()
    write_files(chat.world)

    result = run(chat.world, "check", "--json")

    found = {each["subject"]: each["colour"] for each in json.loads(result.output)}
    assert found["notify.webhook no-such-secret"] == "red"


@pytest.mark.parametrize("format_", get_args(NotifyFormat))
@pytest.mark.parametrize("jobs", [1, 10, 60])
def test_every_service_takes_its_format(format_: NotifyFormat, jobs: int) -> None:
    news = [
        JobNews(
            f"job-{number}-{'x' * 50}",
            ALL[number % len(ALL)],
            "pull",
            title="A title <with> *marks* & [links](x)",
            reason="Pigment answered 503. " * 60,
            next_step="Wait. " * 100,
            rows_read=10**9,
            rows_landed=10**9,
            rows_skipped=10**6,
            last_landing_at="2026-03-01T06:15:00.000Z",
        )
        for number in range(jobs)
    ]

    sent = message(news, format_, PAGE)

    assert faults(format_, sent) == []
    assert PAGE in json.dumps(sent)
    is_whole = format_ == "json" or jobs == 1 or (jobs == 10 and format_ != "chat")
    assert bool(re.search(r"And [0-9]+ more jobs\.", json.dumps(sent))) == (not is_whole)


@pytest.mark.parametrize("format_", ["slack", "teams", "chat"])
@pytest.mark.parametrize("character", ["&", "\\", "😀", "\n", "漢"])
def test_every_service_takes_long_titles_and_words_of_any_characters(format_: NotifyFormat, character: str) -> None:
    words = character * 5000
    news = [JobNews(f"job-{n}", "failed", "pull", title=words, reason=words, next_step=words) for n in range(10)]

    assert faults(format_, message(news, format_, PAGE)) == []


def test_words_of_others_are_no_markup_of_a_service() -> None:
    news = [JobNews("flights", "failed", "pull", reason="<!channel> <https://evil.example|click> *bold*")]

    assert "<!channel>" not in json.dumps([message(news, format_, "") for format_ in ("slack", "chat")])
    assert "&lt;!channel&gt;" in message(news, "chat", "")["text"]
    card = message([JobNews("f", "failed", "pull", reason="[click](https://evil.example)")], "teams", "")
    assert r"\[click\]\(https://evil.example\)" in str(card["attachments"][0]["content"]["body"][1]["text"])


STANDINGS = st.sampled_from(get_args(StandingName))
OUTCOMES = st.sampled_from(["accepted", "refused", "lost", "killed"])


@given(st.lists(st.tuples(STANDINGS, OUTCOMES), max_size=30))
def test_whatever_fails_no_state_is_told_more_than_twice_in_a_row(sweeps: list[tuple[StandingName, str]]) -> None:
    """A model of sweeps: people are told of a state again only after another one, or once more after a lost answer."""
    state, heard = ToldState(), cast(list[str], [])
    for standing, outcome in sweeps:
        event = event_to_tell(state, standing, ALL)
        if event is None:
            state = state_after(state, standing, ALL)
            continue
        if outcome != "refused":
            heard.append(event)
            noted = about_to_tell(state, event)
            state = told(noted) if outcome == "accepted" else noted

    for first, second, third in zip(heard, heard[1:], heard[2:], strict=False):
        assert not first == second == third


class EchoingService(ChatServices):
    """It answers with the message that it has created, as Google Chat does."""

    def answer(self, request: Request) -> Response:
        known = len(self.messages)
        answered = super().answer(request)
        return answered if len(self.messages) == known else Response.of_json({"message": self.messages[-1]})


@pytest.mark.parametrize("job", ["daily-delivery", "flights"])
@pytest.mark.parametrize("format_", ["chat", "json"])
def test_an_answer_that_repeats_the_message_is_no_refusal(world: World, job: str, format_: str) -> None:
    services = EchoingService()
    with Server(services) as server:
        chat = Chat(world, server, services)
        world.raw["pulls"][job] = world.raw["pulls"].pop("flights")
        chat.set_up(format_)
        chat.fail_pulls()
        world.run_pull(job)
        for _ in range(3):
            world.run_deliver()

    assert len(services.messages) == 1


@pytest.mark.parametrize("status", [502, 504])
def test_what_a_gateway_may_have_passed_on_is_not_told_at_every_sweep(chat: Chat, status: int) -> None:
    chat.fail_pulls()
    chat.pull()
    chat.server.fault(".*", times=-1, answer_instead=Response(status, b"gateway"))

    for _ in range(6):
        chat.world.run_deliver()

    assert 1 <= len(chat.services.messages) <= 2


def test_a_block_that_cannot_be_compared_has_not_recovered(chat: Chat) -> None:
    world = chat.world
    fill_list(world)
    chat.set_up()
    world.pigment.edit_after_next(CONFIGURATION, RowEdit(AA))
    chat.pull()
    assert chat.news() == [("flights", "not_equal")]
    world.pigment_server.fault(EXPORTS, times=-1, refuse=Response(403, b"{}"))

    chat.pull()

    assert chat.news() == []
    world.pigment_server.heal()
    chat.pull()
    assert chat.news() == [("flights", "recovered")]
