"""Batches, several requests in one body: https://cloud.google.com/storage/docs/batch"""

import http.client
import io
from collections.abc import Callable
from email import message_from_bytes
from email.message import Message
from http import HTTPStatus

from local.sandbox.storage.refusal import malformed
from local.sandbox.wire import Request, Response, StreamBody

_BOUNDARY = "batch_of_the_sandbox"


def answer_batch(request: Request, answer: Callable[[Request], Response]) -> Response:
    """Answer each part in order; an error in one part does not stop the others."""
    content_type = request.headers.get("Content-Type", "")
    whole = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + request.body.read())
    parts = whole.get_payload()
    if not isinstance(parts, list):
        raise malformed("A batch needs a multipart/mixed body.")
    answers = [_part(part, answer(_request(part, request))) for part in parts if isinstance(part, Message)]
    body = b"".join(b"--%b\r\n%b\r\n" % (_BOUNDARY.encode(), text) for text in answers)
    content_type = f'multipart/mixed; boundary="{_BOUNDARY}"'
    return Response(200, body + b"--%b--\r\n" % _BOUNDARY.encode(), {"Content-Type": content_type})


def _request(part: Message, whole: Request) -> Request:
    text = part.get_payload(decode=True)
    if not isinstance(text, bytes):
        raise malformed("A part of a batch must be application/http.")
    stream = io.BytesIO(text)
    try:
        method, address, _ = stream.readline().decode().split()
    except ValueError:
        raise malformed("A part of a batch does not begin with a request line.") from None
    headers = http.client.parse_headers(stream)
    if "Host" not in headers:
        headers["Host"] = whole.headers.get("Host", "")
    body = StreamBody(stream, headers)  # type: ignore[arg-type]  # a mapping that ignores case
    return Request.to(method, address, headers, body)  # type: ignore[arg-type]


def _part(part: Message, response: Response) -> bytes:
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    lines = [
        "Content-Type: application/http",
        f"Content-ID: <response-{part.get('Content-ID', '').strip('<>')}>",
        "",
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        *(f"{name}: {value}" for name, value in response.headers.items()),
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body
