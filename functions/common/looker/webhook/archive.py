"""A zip with one CSV in it, as Looker delivers a dashboard. Nothing is ever written by a name that stands in it."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from common.looker.webhook.payload import WHAT_LOOKER_SENDS
from common.looker.webhook.text import BLOCK_BYTES
from common.platform.errors import DeliveryNotUsable, MalformedRequest

_MOST_FILES = 1_000
_MOST_CSV_BYTES = 256 * 1024 * 1024
_MOST_TIMES_SMALLER = 200
"How far a CSV of any size shrinks; zeros alone shrink a thousand times."
_ANY_SIZE_BYTES = 1024 * 1024

_ENCRYPTED = 0x1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"Not LZMA, whose header chooses how much memory it takes."
_DIRECTORY_ENTRY = b"PK\1\2"

# What zipfile raises on a zip that is none, is damaged, or is of a kind it does not read.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, ValueError)


def only_csv(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """The content of the only file in a zip.

    Raises:
        DeliveryNotUsable: there are several, or none, or one that is no CSV, or one too big.
        MalformedRequest: it is no zip, or a broken one.
    """
    packed = io.BytesIO()
    for block in blocks:
        packed.write(block)
    # Counted before zipfile makes an object of each.
    if packed.getvalue().count(_DIRECTORY_ENTRY) > _MOST_FILES:
        raise DeliveryNotUsable(f"The delivery is a zip of more than {_MOST_FILES} files.")
    try:
        with zipfile.ZipFile(packed) as archive:
            member = _only_member(archive)
            with archive.open(member) as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
    except _BROKEN as error:
        raise MalformedRequest(
            f"The zip cannot be read: {type(error).__name__}.", next_step=WHAT_LOOKER_SENDS
        ) from None


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    if len(members) != 1:
        raise DeliveryNotUsable(
            f"The delivery is a zip of {len(members)} files: one for each tile of a dashboard.",
            next_step="In Looker, save the tile as a Look, and schedule that Look to the webhook, as CSV.",
        )
    (member,) = members
    if not member.filename.lower().endswith(".csv"):
        raise DeliveryNotUsable("The only file in the zip is no CSV.")
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
        raise DeliveryNotUsable("The file in the zip is encrypted, or compressed in a way that Looker does not use.")
    _expect_reasonable_size(member)
    return member


def _expect_reasonable_size(member: zipfile.ZipInfo) -> None:
    """By the size it announces: zipfile reads no more than that, and refuses a file that does not end there."""
    size = member.file_size
    if size > _MOST_CSV_BYTES:
        raise DeliveryNotUsable(f"The CSV in the zip has {size} bytes; the most is {_MOST_CSV_BYTES}.")
    if size > max(_ANY_SIZE_BYTES, member.compress_size * _MOST_TIMES_SMALLER):
        raise DeliveryNotUsable(
            f"The CSV in the zip is more than {_MOST_TIMES_SMALLER} times as big as the zip; no rows shrink so far."
        )
