"""The deployment of the load run: bucket, secrets, Pigment, and processes of the functions, which are killed."""

import dataclasses
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from common.platform.clock import SystemClock
from common.storage import paths
from common.storage.bucket import Bucket
from local.sandbox.pigment import SandboxPigment
from local.sandbox.secrets import SandboxSecrets
from local.sandbox.storage import Notice, SandboxStorage
from local.sandbox.wire import Fault, Response, Server

TOKEN = "the-webhook-token-of-the-load-run"

_PUSH = r"POST /api/v1/import/push/csv"
_STATUS = r"GET /api/v1/import/[^/]+/status"
_WRITE = r"(POST|PUT|DELETE) /"
_ANY = r"[A-Z]+ /"
_BUSY = Response(503, b"{}", {"Content-Type": "application/json"})


@dataclasses.dataclass
class Sometimes(Fault):
    """A fault for a random share of the matching requests."""

    share: float = 0
    chance: random.Random = dataclasses.field(default_factory=random.Random)

    def strikes(self, method: str, path: str) -> bool:
        struck = bool(re.match(self.on, f"{method} {path}")) and self.chance.random() < self.share
        self.hits += struck
        return struck


class Process:
    """A process of the functions, replaced after each kill."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self.kills = self.stalls = 0
        self._start()

    def address(self, name: str) -> str:
        return self._addresses[name]

    def kill(self) -> None:
        """Kill the process with SIGKILL and start another."""
        with self._lock:
            self._running.kill()
            self._running.communicate()
            self.kills += 1
            self._start()

    def stall(self, seconds: float) -> None:
        """Stop the process and let it continue later."""
        stalled = self._running
        stalled.send_signal(signal.SIGSTOP)
        self.stalls += 1
        resume = threading.Timer(seconds, stalled.send_signal, [signal.SIGCONT])
        resume.daemon = True
        resume.start()

    def stop(self) -> None:
        with self._lock:
            self._running.kill()
            self._running.communicate()

    def _start(self) -> None:
        self._running = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("process.py"))],
            env=self._environment,
            stdout=subprocess.PIPE,
            # Google's client logs a line about a full connection pool for every request.
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._running.stdout
        self._addresses: dict[str, str] = json.loads(self._running.stdout.readline())


class Cloud:
    """The bucket and the vendors, in this process."""

    def __init__(self, folder: Path) -> None:
        self.storage = SandboxStorage(folder)
        self.storage.create_bucket("bridge")
        self.bucket_folder = folder / "bridge"
        self.clock = SystemClock()
        self.pigment = SandboxPigment(requests_per_5_minutes=None, imports_per_hour=None)
        self.storage_server, self.pigment_server = Server(self.storage), Server(self.pigment)
        self.secrets_server = Server(SandboxSecrets({"import-key": self.pigment.key(["Import"]), "token": TOKEN}))
        self.configurations: dict[str, str] = {}
        self.ended = 0
        "Deliveries that have left the inbox."
        self.storage.on_finalize.append(self._count)

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for site in (self.storage, self.pigment):
                stack.callback(site.close)
            for server in (self.storage_server, self.pigment_server, self.secrets_server):
                stack.enter_context(server)
            os.environ |= self.environment()
            self.bucket = Bucket("bridge")
            yield

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "BRIDGE_BUCKET": "bridge",
            "BRIDGE_DEADLINE_S": "60",
            "BRIDGE_LOG_LEVEL": "CRITICAL",
            "GOOGLE_CLOUD_PROJECT": "load",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SECRET_MANAGER_EMULATOR_HOST": self.secrets_server.url,
            "STORAGE_EMULATOR_HOST": self.storage_server.url,
        }

    def relays(self, count: int) -> list[str]:
        """Add relays to lists of all kinds: append, unique ID, and latest delivery only."""
        application = self.pigment.application("Planning")
        relays: dict[str, Any] = {}
        for number in range(count):
            name, repeatable = f"relay-{number:02}", number % 4 == 1
            block = self.pigment.block(application, name)
            unique = ["Id"] if repeatable else None
            self.configurations[name] = self.pigment.configuration(block, ["Id", "Amount"], unique=unique)
            target = {"configuration": self.configurations[name], "repeatable": repeatable}
            relays[name] = {"target": target, "keep": "latest" if number % 4 == 3 else "every"}
        bridge = {
            "pigment": {"url": self.pigment_server.url, "import_key": "import-key"},
            "webhook": {"token": "token"},
            "relays": relays,
        }
        self.bucket.write_json(paths.CONFIG, bridge, over=None)
        return list(relays)

    def misbehave(self, chance: random.Random) -> None:
        """Add faults, which `heal` removes."""
        pigment: list[tuple[float, str, dict[str, Any]]] = [
            (0.02, _PUSH, {"refuse": Response(429, headers={"Retry-After": "1"})}),
            (0.01, _PUSH, {"refuse": Response(503)}),
            (0.01, _PUSH, {"reset_before": True}),
            (0.01, _PUSH, {"reset_after": True}),
            (0.01, _PUSH, {"answer_instead": Response(503)}),
            (0.02, _PUSH, {"delay_s": 0.5}),
            (0.01, _STATUS, {"refuse": Response(503)}),
            (0.01, _STATUS, {"reset_before": True}),
        ]
        storage: list[tuple[float, str, dict[str, Any]]] = [
            (0.001, _ANY, {"refuse": _BUSY}),
            (0.002, _WRITE, {"answer_instead": _BUSY}),
            (0.002, _WRITE, {"reset_after": True}),
            (0.002, _WRITE, {"reset_before": True}),
        ]
        for server, faults in ((self.pigment_server, pigment), (self.storage_server, storage)):
            server.faults.extend(Sometimes(on, share=share, chance=chance, **how) for share, on, how in faults)

    def heal(self) -> None:
        self.pigment_server.heal()
        self.storage_server.heal()

    def _count(self, notice: Notice) -> None:
        self.ended += notice.name.startswith(("delivered/", "dead/"))

    def waiting(self) -> int:
        """Count the deliveries in the inbox."""
        # Folders appear and disappear during the count; `os.walk` ignores missing ones.
        return sum(len(files) for _, _, files in os.walk(self.bucket_folder / "inbox"))

    def leases(self) -> list[Path]:
        return list((self.bucket_folder / "leases").glob("*.json"))
