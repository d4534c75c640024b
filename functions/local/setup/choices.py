"""What a job reads and where it writes, chosen by name in Looker and Pigment."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from common.bridge_yaml import Bridge, LookSource, Pull, Relay
from common.looker.client import LookerClient
from common.platform.errors import BridgeError, MalformedRequest
from local.catalogue import Catalogue, PigmentObject
from local.setup.answers import Answers
from local.setup.questions import Option, Questions

_WHOLE = "the whole block"
_NOT_IMPORTED_INTO = {"Table"}


class _LookFolder(msgspec.Struct, frozen=True):
    id: str
    name: str = ""
    parent_id: str | None = None


class _ListedLook(msgspec.Struct, frozen=True):
    id: str
    title: str | None = None
    folder: _LookFolder | None = None


class ChosenBlock(msgspec.Struct, frozen=True):
    """A block with its application, and one of its import configurations or views."""

    application: PigmentObject
    block: PigmentObject
    inner: PigmentObject | None


def look_options(looker: LookerClient, bridge: Bridge) -> list[Option]:
    """Return the Looks that the bridge's user sees, with their folders."""
    looks = looker.get_as(list[_ListedLook], "/looks", "its Looks", fields="id,title,folder(id,name,parent_id)")
    paths = _paths(looker)
    jobs = {pull.source.look: name for name, pull in bridge.pulls.items() if isinstance(pull.source, LookSource)}
    return [
        Option(
            look.id,
            look.title or "without a title",
            (paths.get(look.folder.id) or look.folder.name) if look.folder else "",
            f"job {jobs[look.id]}" if look.id in jobs else "",
            number=look.id,
        )
        for look in looks
    ]


def choose_look(options: Sequence[Option], questions: Questions, given: str) -> Option:
    """Raises MalformedRequest if there is none."""
    if not options:
        raise MalformedRequest(
            "Looker shows no Look to the bridge's user.",
            next_step="In Looker, save a Look in a folder that this user may see, and give the user the permission "
            "see_looks.",
        )
    return questions.choose("Look", options, "--look", given)


def choose_configuration(pigment: Catalogue, bridge: Bridge, questions: Questions, answers: Answers) -> ChosenBlock:
    """Let the person choose application, block and import configuration."""
    jobs = {job.target.configuration: job.name for job in bridge.jobs() if isinstance(job, Pull | Relay)}
    application = _application(pigment, questions, answers)
    while True:
        block = _block(pigment, application, questions, answers, leave_out=_NOT_IMPORTED_INTO)
        found = pigment.in_block(application, block, "/importConfigurations")
        if found:
            break
        error = MalformedRequest(
            f"The block {block.name} has no import configuration.",
            next_step="In Pigment, import a sample file into it once and save the import configuration: Block > "
            "Settings > Import configurations. Or choose another block.",
        )
        questions.show_error(error)
        answers.block = ""
    options = [
        Option(each.id, each.name, note=f"job {jobs[each.id.lower()]}" if each.id.lower() in jobs else "")
        for each in found
    ]
    chosen = questions.choose("import configuration", options, "--configuration", answers.configuration)
    return ChosenBlock(application, block, next(each for each in found if each.id == chosen.id))


def choose_exported(pigment: Catalogue, questions: Questions, answers: Answers) -> ChosenBlock:
    """Let the person choose application, block, and a view of it or the whole block."""
    application = _application(pigment, questions, answers)
    block = _block(pigment, application, questions, answers, leave_out=())
    views = pigment.in_block(application, block, "/views")
    options = [Option(block.id, _WHOLE, note=block.type), *(Option(each.id, each.name, note="view") for each in views)]
    if not questions.can_ask and not answers.view:
        return ChosenBlock(application, block, None)
    chosen = questions.choose("view", options, "--view", answers.view)
    return ChosenBlock(application, block, next((each for each in views if each.id == chosen.id), None))


def _paths(looker: LookerClient) -> Mapping[str, str]:
    """Return the path of each folder by its id; nothing if the user may not see the folders."""
    try:
        folders = looker.get_as(list[_LookFolder], "/folders", "its folders", fields="id,name,parent_id")
    except BridgeError:
        return {}
    by_id = {folder.id: folder for folder in folders}
    return {folder.id: " / ".join(_names_to(folder, by_id)) for folder in folders}


def _names_to(folder: _LookFolder, by_id: Mapping[str, _LookFolder]) -> list[str]:
    names: list[str] = []
    seen: set[str] = set()
    here: _LookFolder | None = folder
    while here is not None and here.id not in seen:
        seen.add(here.id)
        names.insert(0, here.name)
        here = by_id.get(here.parent_id or "")
    return names


def _application(pigment: Catalogue, questions: Questions, answers: Answers) -> PigmentObject:
    found = pigment.applications
    _expect_some(found, "application")
    options = [Option(each.id, each.name) for each in found]
    chosen = questions.choose("application", options, "--application", answers.application)
    return next(each for each in found if each.id == chosen.id)


def _block(
    pigment: Catalogue,
    application: PigmentObject,
    questions: Questions,
    answers: Answers,
    leave_out: Collection[str],
) -> PigmentObject:
    found = [block for _, block in pigment.blocks([application]) if block.type not in leave_out]
    _expect_some(found, "block")
    options = [Option(each.id, each.name, note=each.type) for each in found]
    chosen = questions.choose("block", options, "--block", answers.block)
    return next(each for each in found if each.id == chosen.id)


def _expect_some(found: Collection[PigmentObject], noun: str) -> None:
    if not found:
        raise MalformedRequest(
            f"Pigment shows no {noun} to the owner of the key.",
            next_step=f"In Pigment, give the owner of the key access to the {noun}, or use a key of another owner.",
        )
