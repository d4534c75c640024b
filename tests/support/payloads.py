"""Bodies of deliveries, well-formed and hostile."""

import base64
import io
import json
import struct
import zipfile
import zlib

MIB = 1024 * 1024

ENTRY_SIZE_AT, ENTRY_METHOD_AT, FILE_METHOD_AT = 24, 10, 8


def attached(data: object, extension: str = "csv", mimetype: str = "text/csv", **more: object) -> bytes:
    attachment = {"mimetype": mimetype, "extension": extension, "data": data}
    return json.dumps({"attachment": attachment, **more}).encode()


def attached_zip(packed: bytes) -> bytes:
    return attached(base64.encodebytes(packed).decode(), "zip", "application/zip;base64")


def zipped(content: bytes = b"a,b\n1,2\n", *names: str, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name in names or ["a.csv"]:
            archive.writestr(name, content)
    return packed.getvalue()


def announcing(packed: bytes, size: int) -> bytes:
    """Return a zip whose directory declares another size for its only file."""
    at = packed.rindex(b"PK\1\2") + ENTRY_SIZE_AT
    return packed[:at] + struct.pack("<L", size) + packed[at + 4 :]


def zeros_deflated(mebibytes: int) -> bytes:
    """Deflate many zeros without creating them: the deflated block of one mebibyte repeats."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = squeezer.compress(bytes(MIB)) + squeezer.flush(zlib.Z_FULL_FLUSH)
    return first * mebibytes + squeezer.flush()


def bomb(mebibytes: int, announced: int) -> bytes:
    """Return a zip of one CSV that consists of zeros."""
    packed = bytearray(zipped(zeros_deflated(mebibytes), method=zipfile.ZIP_STORED))
    entry = packed.rindex(b"PK\1\2")
    struct.pack_into("<H", packed, FILE_METHOD_AT, zipfile.ZIP_DEFLATED)
    struct.pack_into("<H", packed, entry + ENTRY_METHOD_AT, zipfile.ZIP_DEFLATED)
    return announcing(bytes(packed), announced)
