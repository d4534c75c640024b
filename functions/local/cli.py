"""The operator's command line."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, NoReturn

import typer

from common.platform import log
from common.platform.errors import BridgeError, MalformedRequest
from common.runs import instance, settling
from common.runs.receipts import Receipt
from local import catalogue, show

app = typer.Typer(
    help="The Looker–Pigment bridge: what it did, what it would do, and the whole of it on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Config = Annotated[Path, typer.Option(help="The bridge.yaml that says everything.")]
EnvFile = Annotated[Path, typer.Option(help="Secrets for a bridge on this machine: NAME=VALUE by the secrets' names.")]
State = Annotated[
    Path, typer.Option(help="The folder of a bridge on this machine; not used where BRIDGE_BUCKET names a bucket.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON, for a program.")]

_CONFIG = Path("bridge.yaml")
_ENV_FILE = Path(".env")
_STATE = Path(".bridge")


@app.command()
def demo() -> None:
    """The main job on this machine: 336,776 real flights from Looker into Pigment and out again, both sandboxed."""
    from local import demo as demonstration  # noqa: PLC0415  # it brings the whole sandbox

    demonstration.run(Path(".demo"))


@app.command()
def serve(
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    port: Annotated[int, typer.Option(help="The functions' port; 0 for any free one.")] = 8080,
) -> None:
    """The functions on this machine, against the Looker and Pigment that bridge.yaml names."""
    from local import home, serving  # noqa: PLC0415  # servers that no other command needs
    from local.waking import Waker  # noqa: PLC0415

    waker = Waker()
    with home.occupied(state, env_file, waker.notice) as here:
        home.install(config)
        with serving.functions(port) as addresses:
            waker.start(addresses["deliver"])
            serving.announce({**addresses, "storage": here.storage})
            serving.wait_for_end()
            waker.close()


@app.command()
def pull(
    job: Annotated[str, typer.Argument(help="A pull of bridge.yaml.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Everything up to the push; shows what would be sent.")
    ] = False,
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Run a pull now, and print its receipt."""
    from werkzeug.datastructures import Headers  # noqa: PLC0415

    import looker_pull  # noqa: PLC0415  # the function itself

    with _bridge(config, env_file, state) as files, _progress(job, "asking Looker"):
        receipt = looker_pull.act(looker_pull.PullCall(job, preview), Headers())
    _print_and_exit(receipt, as_json, files)


@app.command()
def backfill(
    job: Annotated[str, typer.Argument(help="A pull of bridge.yaml with load: incremental.")],
    begin: Annotated[
        str, typer.Option("--from", help="Load again from this day, time or number; without it, from where it is.")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="No further than this; without it, to what is there now.")] = "",
    preview: Annotated[
        bool, typer.Option("--preview", help="Reads and checks every window, and shows its rows; sends nothing.")
    ] = False,
    function: Annotated[
        str,
        typer.Option(help="The deployed function's address, to have it do the work; without it, this machine does."),
    ] = "",
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Load an incremental pull window by window, to its end. Stop it any time; started again, it goes on."""
    from local import backfilling  # noqa: PLC0415  # progress bars that no other command needs

    call = backfilling.call(job, begin, end)
    with contextlib.nullcontext() if function else _bridge(config, env_file, state):
        work = backfilling.work(function)
        done = backfilling.preview(work, call, as_json) if preview else backfilling.load(work, call, as_json)
    raise typer.Exit(0 if done else 1)


@app.command()
def export(
    job: Annotated[str, typer.Argument(help="An export of bridge.yaml.")],
    preview: Annotated[
        bool, typer.Option("--preview", help="Reads and checks all of it, and shows the first rows; publishes nothing.")
    ] = False,
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Run an export now, and print its receipt."""
    from werkzeug.datastructures import Headers  # noqa: PLC0415

    import pigment_export  # noqa: PLC0415  # the function itself

    with _bridge(config, env_file, state) as files, _progress(job, "asking Pigment"):
        receipt = pigment_export.act(pigment_export.ExportCall(job, preview), Headers())
    _print_and_exit(receipt, as_json, files)


@app.command()
def runs(
    job: Annotated[str, typer.Argument(help="Only this job's runs.")] = "",
    last: Annotated[int, typer.Option(help="How many, newest first.")] = 20,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """What ran, and how it ended, newest first."""
    with _bridge(None, env_file, state, looking=True):
        store = instance.current.store
        names = sorted(store.names(f"receipts/{job}/" if job else "receipts/"), key=lambda name: Path(name).name)
        found = [store.read_json(name, Receipt) for name in names[: -last - 1 : -1]]
    kept = [stored.value for stored in found if stored is not None]
    if as_json:
        show.print_json(kept)
    else:
        show.console().print(show.runs_table(kept))


@app.command()
def settle(
    run: Annotated[str, typer.Argument(help="The run whose landing is unknown.")],
    landed: Annotated[
        bool | None, typer.Option("--landed/--not-landed", help="What Pigment's import history shows.")
    ] = None,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Say what became of a run that nobody but a person can know of; its configuration is free after that."""
    if landed is None:
        raise MalformedRequest(
            "What became of the run?",
            next_step="Look at the import history of its block in Pigment, then add --landed or --not-landed.",
        )
    verdict: Literal["landed", "not landed"] = "landed" if landed else "not landed"
    with _bridge(None, env_file, state, looking=True) as files:
        receipt = settling.settle_by_hand(instance.current.store, instance.current.clock, run, verdict)
    _print(receipt, as_json, files)


deliveries_app = typer.Typer(help="Webhook deliveries: waiting, delivered, dead.", invoke_without_command=True)
app.add_typer(deliveries_app, name="deliveries")


@deliveries_app.callback()
def list_deliveries(
    context: typer.Context,
    relay: Annotated[str, typer.Option(help="Only this relay's.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Those that landed as well.")] = False,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """What waits and what is dead, with age and reason, oldest first."""
    if context.invoked_subcommand:
        return
    from local import deliveries  # noqa: PLC0415

    with _bridge(None, env_file, state, looking=True):
        here = instance.current
        states = ("waiting", "dead", "delivered") if everything else ("waiting", "dead")
        found = deliveries.every(here.store, relay, states)
        if as_json:
            show.print_json(found)
        else:
            show.console().print(deliveries.table(found, here.clock.now()))


@deliveries_app.command("show")
def show_delivery(
    identifier: Annotated[str, typer.Argument(metavar="ID", help="Its id, or a part that is like no other.")],
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
) -> None:
    """One delivery: how it ended, and what Looker sent, rows included."""
    from local import deliveries  # noqa: PLC0415

    with _bridge(None, env_file, state, looking=True):
        _, entry = deliveries.find(instance.current.store, identifier)
        show.print_json(
            {"delivery": deliveries.Shown.of(entry), "content": deliveries.content(instance.current.store, entry)}
        )


@deliveries_app.command("replay")
def replay_deliveries(
    identifiers: Annotated[list[str], typer.Argument(metavar="ID…", help="Which to land again.")],
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
) -> None:
    """Land deliveries again that landed or were refused: each goes back into the inbox, under a new id."""
    from local import deliveries  # noqa: PLC0415

    with _bridge(None, env_file, state, looking=True):
        for identifier in identifiers:
            print(deliveries.replay(instance.current.store, identifier))


@app.command()
def deliver(
    config: Config = _CONFIG, env_file: EnvFile = _ENV_FILE, state: State = _STATE, as_json: Json = False
) -> None:
    """Land what waits in the inbox now."""
    from common.flows import deliver as delivering  # noqa: PLC0415

    with _bridge(config, env_file, state):
        tally = delivering.deliver(instance.current, instance.current.config())
    if as_json:
        show.print_json(tally)
    else:
        print(f"delivered {tally.delivered}, waiting {tally.waiting}, dead {tally.dead}")
        if tally.error:
            print(f"{tally.error.code}: {tally.error.message}\n→ {tally.error.next_step}")
    raise typer.Exit(1 if tally.error else 0)


@app.command()
def check(
    offline: Annotated[
        bool, typer.Option("--offline", help="Only what bridge.yaml says: no secret is read, nobody is asked.")
    ] = False,
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Try every credential, permission and id that bridge.yaml names, for real."""
    from local import checking  # noqa: PLC0415

    console = show.console()
    findings: list[checking.Finding] = []
    with contextlib.ExitStack() as open_:
        if not offline:
            open_.enter_context(_bridge(None, env_file, state))
        if not as_json:
            open_.enter_context(console.status("trying"))
        found = checking.findings_offline(config) if offline else checking.every_finding(config, instance.current)
        for finding in found:
            findings.append(finding)
            if not as_json:
                console.print(checking.table([finding]))
    if as_json:
        show.print_json(findings)
    raise typer.Exit(1 if any(finding.colour == "red" for finding in findings) else 0)


Application = Annotated[str, typer.Option(help="Only what is in this application, by its name or id.")]
Block = Annotated[str, typer.Option(help="Only what is of this list, metric or table, by its name or id.")]


@app.command()
def applications(
    config: Config = _CONFIG, env_file: EnvFile = _ENV_FILE, state: State = _STATE, as_json: Json = False
) -> None:
    """Pigment's applications, with their ids."""
    _list("applications", "", "", config, env_file, state, as_json)


@app.command()
def blocks(
    application: Application = "",
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Pigment's lists, metrics and tables, with their ids: what an export can read whole."""
    _list("blocks", application, "", config, env_file, state, as_json)


@app.command()
def views(
    application: Application = "",
    block: Block = "",
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Pigment's views, with their ids: what an export reads as Pigment shows it."""
    _list("views", application, block, config, env_file, state, as_json)


@app.command()
def configurations(
    application: Application = "",
    block: Block = "",
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
    as_json: Json = False,
) -> None:
    """Pigment's import configurations, with their ids: where a pull or a relay lands."""
    _list("configurations", application, block, config, env_file, state, as_json)


def _list(
    kind: catalogue.Kind, application: str, block: str, config: Path, env_file: Path, state: Path, as_json: bool
) -> None:
    where = catalogue.where(config)
    console = show.console()
    with _bridge(None, env_file, state), contextlib.nullcontext() if as_json else console.status("looking") as status:
        tell = status.update if status else str
        with catalogue.opened(where, instance.current) as (pigment, _):
            listing = pigment.listed(kind, application, block, tell)
    if as_json:
        show.print_json(listing.items)
    else:
        console.print(catalogue.table(listing, kind))
        console.print(f"\n{catalogue.USES[kind]}", markup=False, highlight=False)
    if not listing.is_whole:
        said = f"Only the first {catalogue.MOST_BLOCKS} blocks were looked into: --application or --block says which."
        print(said, file=sys.stderr)


@app.command()
def looker(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, PATCH, PUT or DELETE.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="Below /api/4.0, such as /users?limit=5.")],
    body: Annotated[str | None, typer.Option(help="JSON to send.")] = None,
    file: Annotated[str | None, typer.Option(help="A file with JSON to send; - for standard input.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
    as_json: Json = False,
    as_table: Annotated[bool, typer.Option("--table", help="A list of objects as a table.")] = False,
    config: Config = _CONFIG,
    env_file: EnvFile = _ENV_FILE,
    state: State = _STATE,
) -> None:
    """Anything else in Looker's API, with the bridge's login: what Looker answers."""
    from local import call as calls  # noqa: PLC0415

    where = calls.where(config)
    call = calls.call_of(method, path, calls.body_of(body, file), where)
    if call.is_write and not yes:
        _confirm(calls.announcement(call, where))
    with _bridge(None, env_file, state):
        answer = calls.send(call, where, instance.current)
    shown = calls.table(answer) if as_table or (sys.stdout.isatty() and not as_json) else None
    if shown is None:
        sys.stdout.buffer.write(calls.printed(answer))
        if not answer.body:
            print(f"Looker answered {answer.status}, and nothing more.", file=sys.stderr)
        return
    listing, left_out = shown
    show.console().print(listing)
    if left_out:
        print(f"Left out: {', '.join(left_out)}; --json shows them.", file=sys.stderr)


@app.command("resources")
def list_resources(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the README shows them.")] = False,
) -> None:
    """Looker's own objects that a pull can read, and their columns."""
    from local import columns  # noqa: PLC0415

    if markdown:
        print(columns.markdown())
    else:
        show.console().print(columns.table())


def _confirm(announcement: str) -> None:
    """Ask the person who is there; where nobody is, nothing is sent."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise MalformedRequest(
            "This would write to Looker, and nobody is there to ask; nothing was sent.",
            next_step="Add --yes, if that is meant.",
        )
    print(announcement, file=sys.stderr)
    typer.confirm("Send it?", abort=True, err=True)


@app.command()
def errors(
    markdown: Annotated[bool, typer.Option("--markdown", help="As the README shows them.")] = False,
) -> None:
    """Every error there is: its code, what it means, and what to do."""
    if markdown:
        print(show.errors_markdown())
    else:
        show.console().print(show.errors_table())


@contextlib.contextmanager
def _bridge(config: Path | None, env_file: Path, state: Path, *, looking: bool = False) -> Iterator[Path | None]:
    """The bucket and secrets to work with: the cloud's where `BRIDGE_BUCKET` is set, else those of a folder.

    Gives the folder where buckets lie as plain files; None in the cloud.
    """
    # A person reads the receipt, and waits as long as it takes.
    os.environ.setdefault("BRIDGE_LOG_LEVEL", "CRITICAL")
    os.environ.setdefault("BRIDGE_DEADLINE_S", "3600")
    log.configure()
    if os.environ.get("BRIDGE_BUCKET"):
        yield None
        return
    from local import home  # noqa: PLC0415

    # Looking at what happened takes no secret, and so no file of them.
    secrets: Path | dict[str, str] = {} if looking and not env_file.exists() else env_file
    with home.visited(state, secrets):
        if config is not None:
            home.install(config)
        yield state


@contextlib.contextmanager
def _progress(job: str, first: str) -> Iterator[None]:
    """Rows and bytes as they come by, where somebody is watching."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"{job}: {first}")
        instance.current.progress = lambda what, count: bar.update(task, description=f"{job}: {count:,} {what}")
        yield


def _print_and_exit(receipt: Receipt, as_json: bool, files: Path | None) -> NoReturn:
    """A run that has not ended well fails the command."""
    _print(receipt, as_json, files)
    raise typer.Exit(1 if receipt.error or not receipt.is_final else 0)


def _print(receipt: Receipt, as_json: bool, files: Path | None) -> None:
    if as_json:
        show.print_json(receipt)
        return
    console = show.console()
    sample = show.sample_table(receipt)
    if sample is not None:
        console.print(sample)
    for table in show.diff_tables(receipt):
        console.print(table)
    console.print(show.receipt_table(receipt, files))


def main() -> None:
    """`bridge`, with every error of ours as three lines a person can act on."""
    try:
        app()
    except BridgeError as error:
        print(f"error: {error.code}\n{error.cause}\n→ {error.next_step}", file=sys.stderr)
        sys.exit(1)
