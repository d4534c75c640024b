"""A zip with one CSV, as Looker delivers a dashboard. File names in the zip are never used as paths."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator

from common.looker.webhook.payload import EXPECTED_BODY
from common.platform.errors import DeliveryNotUsable, MalformedRequest
from common.platform.http import BLOCK_BYTES

_MOST_FILES = 1_000
_MOST_CSV_BYTES = 256 * 1024 * 1024
_MOST_COMPRESSION = 200
"The highest compression ratio of a real CSV. A file of zeros reaches a thousand."
_ALWAYS_ALLOWED_BYTES = 1024 * 1024

_ENCRYPTED = 0x1
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"Not LZMA: its header decides how much memory it takes."
_DIRECTORY_ENTRY = b"PK\1\2"

# The errors of zipfile for a file that is not a zip, is damaged, or is of an unsupported kind.
_BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, ValueError)


def only_csv(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of the only file in a zip. Raises DeliveryNotUsable if it is not one CSV of a reasonable size,
    MalformedRequest if the zip cannot be read.
    """
    packed = io.BytesIO()
    packed.writelines(blocks)
    # Counted before zipfile makes an object of each one.
    if packed.getvalue().count(_DIRECTORY_ENTRY) > _MOST_FILES:
        raise DeliveryNotUsable(f"The delivery is a zip of more than {_MOST_FILES} files.")
    try:
        with zipfile.ZipFile(packed) as archive:
            member = _only_member(archive)
            with archive.open(member) as file:
                while block := file.read(BLOCK_BYTES):
                    yield block
    except _BROKEN:
        cause = "The zip cannot be read: it is damaged, or of a kind that is not supported."
        raise MalformedRequest(cause, next_step=EXPECTED_BODY) from None


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    if len(members) != 1:
        next_step = "In Looker, save the tile as a Look, and schedule that Look to the webhook, as CSV."
        cause = f"The delivery is a zip of {len(members)} files: one for each tile of a dashboard."
        raise DeliveryNotUsable(cause, next_step=next_step)
    (member,) = members
    if not member.filename.lower().endswith(".csv"):
        raise DeliveryNotUsable("The only file in the zip is not a CSV.")
    if member.flag_bits & _ENCRYPTED or member.compress_type not in _COMPRESSIONS:
        raise DeliveryNotUsable("The file in the zip is encrypted, or uses a compression that Looker does not use.")
    _expect_reasonable_size(member)
    return member


def _expect_reasonable_size(member: zipfile.ZipInfo) -> None:
    """Check the announced size: zipfile reads no more than that, and refuses a file that does not end there."""
    size = member.file_size
    if size > _MOST_CSV_BYTES:
        raise DeliveryNotUsable(f"The CSV in the zip has {size} bytes; the maximum is {_MOST_CSV_BYTES}.")
    if size > max(_ALWAYS_ALLOWED_BYTES, member.compress_size * _MOST_COMPRESSION):
        factor = f"more than {_MOST_COMPRESSION} times"
        raise DeliveryNotUsable(f"The CSV in the zip is {factor} as big as the zip: too much for rows.")
