"""The server of `bridge mcp`: each tool opens the bridge, reads, and closes it again."""

import functools
import importlib.metadata
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from common import bridge_yaml
from common.platform.errors import BridgeError, NotFound
from common.runs import receipts
from local import bridge_file, explanations
from local.assistant import answers
from local.assistant.opening import is_deployed, looking_at
from local.assistant.preview import preview
from local.commands.connection import ConfiguredBridge

NAME = "looker-pigment-bridge"
_INSTRUCTIONS = (
    "A bridge loads rows from Looker into Pigment and exports Pigment's blocks. Every run has a receipt. Begin with "
    "next_steps, which says what needs a person; explain_run tells why a run failed. All tools only read: a person "
    "runs the commands that a next step names. No tool shows a value of a row or a secret."
)
_READS_ONLY = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True)

JobName = Annotated[str, Field(description="The name of a job in bridge.yaml; empty for all jobs.")]
RelayName = Annotated[str, Field(description="The name of a relay in bridge.yaml; empty for all relays.")]
PullName = Annotated[str, Field(description="The name of a pull in bridge.yaml.")]
RunId = Annotated[str, Field(description="The id of a run, as the tool `runs` lists it.")]
Code = Annotated[str, Field(description="An error code, or an outcome such as `held`.")]
RunCount = Annotated[int, Field(ge=1, le=200, description="The largest number of runs to list.")]


ToolAnswer = dict[str, Any]


class BridgeTools:
    """The tools, as methods with the name and the description that an assistant sees."""

    def __init__(self, bridge: ConfiguredBridge, scratch: Path) -> None:
        self._bridge, self._scratch = bridge, scratch
        self._is_deployed = is_deployed()

    def jobs(self) -> ToolAnswer:
        """List the jobs of bridge.yaml: pulls, relays and exports, with schedule, source, target and guards."""
        return {"jobs": msgspec.to_builtins(answers.jobs(self._jobs()))}

    def status(self) -> ToolAnswer:
        """Tell for each job whether its numbers are up to date, when they landed, and if not, why and what to do."""
        jobs = self._jobs()
        with looking_at(self._bridge) as here:
            standing, not_read = answers.standing(here, jobs)
            return {"jobs": [each.to_builtins() for each in standing], "could_not_be_read": not_read}

    def runs(self, job: JobName = "", last: RunCount = 20) -> ToolAnswer:
        """List runs, those that have not ended first, then newest first: outcome, numbers of rows, and why."""
        jobs = self._jobs()
        with looking_at(self._bridge) as here:
            return {"runs": msgspec.to_builtins(answers.runs(here.bucket, jobs, job, last))}

    def explain_run(self, run: RunId) -> ToolAnswer:
        """Tell what one run read, sent, landed and skipped, how it ended and why, and what to do next."""
        if not receipts.RUN_ID.fullmatch(run):
            raise NotFound(f"{run} is no id of a run.", next_step="The tool `runs` lists the ids of runs.")
        with looking_at(self._bridge) as here:
            return _fields(explanations.of_run(here.bucket, run))

    def explain_code(self, code: Code) -> ToolAnswer:
        """Tell what an error code or an outcome of a run means, what to do next, and where to read more."""
        return _fields(explanations.of_word(code))

    def deliveries(self, relay: RelayName = "") -> ToolAnswer:
        """List the webhook deliveries that wait or are dead, oldest first, with the reason and the next step."""
        if relay:
            answers.expect_job(self._jobs(), relay)
        with looking_at(self._bridge) as here:
            return {"deliveries": msgspec.to_builtins(answers.not_landed(here, relay))}

    def next_steps(self) -> ToolAnswer:
        """Say what needs a person now: open and failed runs, late jobs, deliveries that wait or are dead."""
        jobs = self._jobs()
        with looking_at(self._bridge) as here:
            return {"next_steps": msgspec.to_builtins(answers.advice(here, jobs))}

    def preview_pull(self, job: PullName) -> ToolAnswer:
        """Read all rows of a pull from Looker and check them as a run does, but send and store nothing.

        Tells the number of rows, the header, the checks and what a run would be refused for. It takes as long as Looker
        needs for the query.
        """
        jobs = self._jobs()
        answers.expect_job(jobs, job)
        return _fields(preview(self._bridge, jobs.find(bridge_yaml.Pull, job), jobs, self._scratch))

    def _jobs(self) -> bridge_yaml.Bridge:
        """Return the jobs of the deployed bridge, or those of the bridge.yaml on this machine."""
        if not self._is_deployed:
            return bridge_file.load(self._bridge.config)
        with looking_at(self._bridge) as here:
            return here.config()


def run(bridge: ConfiguredBridge) -> None:
    """Serve the tools on standard input and output until the assistant closes them, or a signal comes."""
    with tempfile.TemporaryDirectory(prefix="bridge-mcp-") as scratch:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, functools.partial(_end, Path(scratch)))
        _server(bridge, Path(scratch)).run("stdio")


def _end(scratch: Path, number: int, _frame: object) -> None:
    """End at once: the thread that waits for input cannot be stopped. The rows of a preview do not stay behind."""
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(128 + number)


def _server(bridge: ConfiguredBridge, scratch: Path) -> MCPServer[Any]:
    """Return the server, which runs one tool at a time: the environment of the process names the open bridge."""
    server: MCPServer[Any] = MCPServer(
        NAME, version=importlib.metadata.version(NAME), instructions=_INSTRUCTIONS, log_level="ERROR"
    )
    tools, lock = BridgeTools(bridge, scratch), threading.Lock()
    for tool in (
        *(tools.next_steps, tools.status, tools.jobs, tools.runs, tools.explain_run),
        *(tools.explain_code, tools.deliveries, tools.preview_pull),
    ):
        told = " ".join((tool.__doc__ or "").split())
        server.add_tool(_alone(tool, lock), description=told, annotations=_READS_ONLY, structured_output=True)
    return server


def _alone(tool: Callable[..., ToolAnswer], lock: threading.Lock) -> Callable[..., ToolAnswer]:
    """Run a tool while no other one runs, and answer with the cause and the next step of an error."""

    @functools.wraps(tool)
    def answer(**arguments: Any) -> ToolAnswer:
        with lock:
            try:
                return tool(**arguments)
            except BridgeError as error:
                raise ToolError(f"{error.code}: {error.cause}\nNext step: {error.next_step}") from error

    return answer


def _fields(value: msgspec.Struct) -> ToolAnswer:
    fields: ToolAnswer = msgspec.to_builtins(value)
    return fields
