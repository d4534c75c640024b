"""Whether a secret can be read; what it holds is tried where it is used."""

from common.platform.errors import BridgeError
from common.runs.instance import Instance
from local.checking.finding import Finding, green, refused


def try_secret(instance: Instance, subject: str, name: str) -> Finding:
    try:
        instance.secrets.read(name)
    except BridgeError as error:
        return refused(subject, error)
    return green(subject, f"The secret {name} can be read.")
