"""`bridge init` and `bridge add`: write bridge.yaml from a few answers."""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from local import terminal
from local.commands import jobs
from local.commands.connection import ConfiguredBridge, with_bridge

if TYPE_CHECKING:
    from local.setup import Questions

app = typer.Typer(help="Add a job to bridge.yaml. The rest of the file stays as it is.", no_args_is_help=True)

_KEY_HELP = (
    "An environment variable keeps it out of the shell's history. Without both, the .env or a question gives it."
)


@dataclasses.dataclass(frozen=True, repr=False)
class JobAnswers(ConfiguredBridge):
    """The flags that answer the questions for each kind of job. What is not given is asked for at a terminal.

    Some are keys, so `repr` shows none.
    """

    yes: Annotated[
        bool, typer.Option("--yes", help="Ask nothing: take what is proposed, and fail if an answer is missing.")
    ] = False
    name: Annotated[str, typer.Option(help="The name of the job. Without it, one that follows from the source.")] = ""
    application: Annotated[str, typer.Option(help="The name or id of an application in Pigment.")] = ""
    block: Annotated[str, typer.Option(help="The name or id of a list, metric or table in this application.")] = ""
    pigment_key: Annotated[str, typer.Option(envvar="PIGMENT_API_KEY", help=f"An API key of Pigment. {_KEY_HELP}")] = ""
    pigment_url: Annotated[
        str, typer.Option(help="Pigment's address, if it is not https://pigment.app, as for a sandbox.")
    ] = ""


@dataclasses.dataclass(frozen=True, repr=False)
class ImportAnswers(JobAnswers):
    """The flags of a job that imports into Pigment."""

    configuration: Annotated[str, typer.Option(help="The name or id of an import configuration of the block.")] = ""
    repeatable: Annotated[
        bool | None,
        typer.Option(
            "--repeatable/--not-repeatable",
            help="Whether the same rows may be sent twice: the list has a unique ID, or the import replaces rows.",
        ),
    ] = None


@dataclasses.dataclass(frozen=True, repr=False)
class PullAnswers(ImportAnswers):
    """The flags of a pull."""

    look: Annotated[str, typer.Option(help="The number of a Look, or its title.")] = ""
    looker_url: Annotated[
        str,
        typer.Option(envvar="LOOKERSDK_BASE_URL", help="Looker's address, such as https://acme.cloud.looker.com."),
    ] = ""
    looker_client_id: Annotated[
        str, typer.Option(envvar="LOOKERSDK_CLIENT_ID", help="The client ID of Looker's API key.")
    ] = ""
    looker_client_secret: Annotated[
        str, typer.Option(envvar="LOOKERSDK_CLIENT_SECRET", help=f"The secret of Looker's API key. {_KEY_HELP}")
    ] = ""
    preview: Annotated[
        bool | None,
        typer.Option("--preview/--no-preview", help="Preview the first rows at the end. Without it, a question."),
    ] = None


@dataclasses.dataclass(frozen=True, repr=False)
class RelayAnswers(ImportAnswers):
    """The flags of a relay."""

    webhook_token: Annotated[
        str,
        typer.Option(
            envvar="LOOKER_WEBHOOK_TOKEN", help=f"The token that Looker shows at Admin > Webhooks. {_KEY_HELP}"
        ),
    ] = ""


@dataclasses.dataclass(frozen=True, repr=False)
class ExportAnswers(JobAnswers):
    """The flags of an export."""

    view: Annotated[str, typer.Option(help="The name or id of a view of the block. Without it, the whole block.")] = ""
    path: Annotated[str, typer.Option(help="The name of the object, such as revenue/{date}.csv.")] = ""
    preview: Annotated[
        bool | None,
        typer.Option("--preview/--no-preview", help="Preview the first rows at the end. Without it, a question."),
    ] = None


@with_bridge
def init(given: PullAnswers) -> None:
    """Write bridge.yaml and .env for your own Looker and Pigment, with a first pull.

    Asks for the keys, lists Looks and import configurations by name, and checks everything before it writes. If there
    is a bridge.yaml, it gets another pull, and the rest of the file stays as it is. Every question has an option.
    """
    _add_pull(given)


@app.command()
@with_bridge
def pull(given: PullAnswers) -> None:
    """Add a pull: a Look of Looker into an import configuration of Pigment."""
    _add_pull(given)


@app.command()
@with_bridge
def relay(given: RelayAnswers) -> None:
    """Add a relay: Looker's webhook deliveries into an import configuration of Pigment."""
    from local import setup  # noqa: PLC0415

    _add(given, setup.add_relay)


@app.command()
@with_bridge
def export(given: ExportAnswers) -> None:
    """Add an export: a view or block of Pigment into Cloud Storage."""
    from local import setup  # noqa: PLC0415

    name, questions = _add(given, setup.add_export)
    terminal.say(f"Next: `bridge export {name}` publishes the object.")
    if _wants_preview(given.preview, questions):
        jobs.export(job=name, preview=True, day=None, as_json=False, **_bridge_of(given))


def _add_pull(given: PullAnswers) -> None:
    from local import setup  # noqa: PLC0415

    name, questions = _add(given, setup.add_pull)
    terminal.say(f"Next: `bridge pull {name}` imports the rows, and `bridge check` tests everything again.")
    if _wants_preview(given.preview, questions):
        jobs.pull(job=name, preview=True, as_json=False, **_bridge_of(given))


def _add(given: JobAnswers, add: Callable[..., str]) -> tuple[str, "Questions"]:
    """Add a job, and return its name."""
    from local.setup import Answers, Questions  # noqa: PLC0415

    known = {field.name for field in dataclasses.fields(Answers)}
    answers = Answers(**{name: value for name, value in vars(given).items() if name in known})
    questions = Questions(accept_all=given.yes)
    try:
        return add(given.config, given.env_file, questions, answers), questions
    except (KeyboardInterrupt, EOFError):
        terminal.say("\nStopped. Nothing was written.", errors=True)
        raise typer.Exit(130) from None


def _wants_preview(wanted: bool | None, questions: "Questions") -> bool:
    if wanted is not None or not questions.can_ask:
        return bool(wanted)
    return questions.confirm("Preview the first rows now? Nothing is sent", default=True)


def _bridge_of(given: JobAnswers) -> dict[str, object]:
    return {"env_file": given.env_file, "state": given.state, "config": given.config}
