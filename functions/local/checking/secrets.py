"""Whether a secret can be read; what it holds is tried where it is used."""

from common.errors import BridgeError
from common.instance import Instance
from local.checking.finding import Finding, green, refused


def try_secret(instance: Instance, subject: str, name: str) -> Finding:
    try:
        instance.secrets.read(name)
    except BridgeError as error:
        return refused(subject, error)
    return green(subject, f"The secret {name} can be read.")
