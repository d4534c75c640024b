"""The limits of Cloud Storage for an object's custom metadata.

They are 1 KiB for a key, 4 KiB for a value, and 8 KiB for all keys and values together, by the constants in
https://docs.cloud.google.com/storage/docs/reference/rpc/google.storage.v1
"""

from collections.abc import Mapping

from common.platform.text import shorten

_LONGEST_VALUE_BYTES = 4 * 1024
_LONGEST_BYTES = 8 * 1024


def fitting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return metadata that Cloud Storage accepts: values of one line, of which the longest are shortened."""
    values = {key: shorten(" ".join(value.splitlines()), _LONGEST_VALUE_BYTES) for key, value in metadata.items()}
    for _ in values:
        excess = sum(len(key.encode()) + len(value.encode()) for key, value in values.items()) - _LONGEST_BYTES
        if excess <= 0:
            break
        longest = max(values, key=lambda key: len(values[key].encode()))
        values[longest] = shorten(values[longest], len(values[longest].encode()) - excess)
    return values
