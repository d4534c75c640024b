"""What to do about an error, for a person at the command line.

The next steps of `common.platform.errors` are answered by functions in the cloud. Some name what a bridge on this
machine does not have: Terraform, Secret Manager, a service account, the timeout of a function. In their place a local
bridge gets a next step of its own, by the code of the error.
"""

import os
import re
from collections.abc import Mapping

import msgspec

from common.platform import errors
from common.platform.errors import BridgeError, ErrorReport
from common.platform.secrets import LOOKER_CREDENTIALS
from common.runs.receipts import Receipt
from local import terminal

OF_THE_CLOUD = re.compile(
    r"[Tt]erraform|gcloud|Secret Manager|service account|versions? (of|to) the secret|the function|attempt deadline"
    r"|Send POST|No action needed yet; the next run retries"
)
_TERRAFORM = re.compile(r"\b([Rr]un) Terraform( again)?")
_NAMED_SECRET = re.compile(r"The secret (\S+) cannot be read")
_FAULTY_SECRET = re.compile(r"[Tt]he secret (\S+)")

_HELP = "`bridge --help` shows all commands, and --help after a command what it takes."
_HERE: Mapping[type[BridgeError], str] = {
    errors.MalformedRequest: _HELP,
    errors.TokenRefused: "Looker shows the token at Admin > Webhooks. Write it into .env, as webhook.token names it.",
    errors.NoSuchJob: "Check the name in bridge.yaml.",
    errors.BodyTooSlow: "Send the delivery again: Looker does not repeat it.",
    errors.SettingMissing: "Set the variable named here.",
    errors.SecretUnreadable: "Add a line `NAME=…` to .env for each secret that bridge.yaml names.",
    errors.StorageRefused: (
        "`bridge pull` and `bridge serve` copy bridge.yaml into the folder of the bridge. If that does not help, check "
        "that the folder (--state) is yours and complete."
    ),
    errors.BigqueryRefused: "Remove engine: bigquery, so that this machine compares.",
    errors.LookerBusy: (
        "Run it again later. If it persists, check looker.url, the network of this machine, and Looker's status and IP "
        "allow list."
    ),
    errors.PigmentBusy: (
        "Run it again later. If it persists, check pigment.url, the network of this machine, and Pigment's status. "
        "Pigment allows 500 requests in 5 minutes per IP address."
    ),
    errors.StorageBusy: "Run again. If it recurs, check the folder of the bridge (--state).",
    errors.LeaseLost: "No action needed: the other run continues.",
    errors.RunInterrupted: "No action needed: the next run starts over.",
    errors.Internal: "Run it again with BRIDGE_LOG_LEVEL=ERROR in the environment, and report the trace that it shows.",
    errors.LookerLoginRefused: "Create a new API key for the bridge's Looker user, write it into .env, and run again.",
    errors.StreamCut: "Run again. If it happens every time, look for a proxy between this machine and the vendor.",
    errors.PigmentKeyRefused: (
        f"{errors.PigmentKeyRefused.reasons} Create a new key in Pigment and write it into .env."
    ),
    errors.OutOfTime: "Set BRIDGE_DEADLINE_S in the environment to more seconds, or load in windows.",
}


def is_local() -> bool:
    """Whether the command works, or would work, on a bridge on this machine."""
    return bool(os.environ.get("BRIDGE_EMULATOR_TOKEN")) or not os.environ.get("BRIDGE_BUCKET")


def of(error: BridgeError | ErrorReport) -> str:
    """Return the next step of an error, or of one in a receipt, for the person who started the command."""
    if isinstance(error, ErrorReport):
        return fitting(error.kind, error.message, error.next_step)
    return fitting(type(error), error.cause, error.next_step)


def tell(error: BridgeError) -> None:
    """Say on standard error what went wrong, and what to do."""
    terminal.say_in_words(f"error: {error.code}\n{error.cause}\n→ {of(error)}", errors=True)


def fitting(kind: type[BridgeError], cause: str, next_step: str) -> str:
    """Return a next step without the words of the cloud, if this bridge is not there."""
    if "Send POST" in next_step:
        return _HELP
    if not is_local():
        return _TERRAFORM.sub(r"\1 `make apply`", next_step)
    next_step = next_step.replace("is stored for retention_days.staged, unless", "is stored unless")
    if issubclass(kind, errors.SecretUnreadable):
        return _secret_step(cause) or _unless_of_the_cloud(kind, next_step)
    return _unless_of_the_cloud(kind, next_step)


def _unless_of_the_cloud(kind: type[BridgeError], next_step: str) -> str:
    if not OF_THE_CLOUD.search(next_step):
        return next_step
    return next((_HERE[each] for each in kind.__mro__ if each in _HERE), next_step)


def _secret_step(cause: str) -> str:
    if names := dict.fromkeys(_NAMED_SECRET.findall(cause)):
        return f"Add {' and '.join(f'`{name}=…`' for name in names)} to .env."
    faulty = _FAULTY_SECRET.search(cause)
    if faulty is None:
        return ""
    if "Looker credentials" in cause:
        return f"Correct the line in .env: `{faulty[1]}={LOOKER_CREDENTIALS}`."
    return f"Correct the line `{faulty[1]}=…` in .env: the key alone, on one line (of Looker: {LOOKER_CREDENTIALS})."


def of_dead_delivery(next_step: str, delivery: str) -> str:
    """Return a next step with the command that runs a delivery again, which only a job of a schedule does by itself."""
    if "bridge deliveries replay" in next_step:
        return next_step
    return f"{next_step} A dead delivery runs again by `bridge deliveries replay {delivery}`."


def place_of_new_key(secret: str) -> str:
    """Return where a new key goes, as a part of a sentence that tells to create one."""
    if is_local():
        return f"write it into .env as `{secret}=…`"
    return f"add it as a new version of the secret {secret}"


def fitted(receipt: Receipt) -> Receipt:
    """Return a receipt with the next step of its error for the person who started the command."""
    if receipt.error is None:
        return receipt
    return msgspec.structs.replace(receipt, error=msgspec.structs.replace(receipt.error, next_step=of(receipt.error)))
