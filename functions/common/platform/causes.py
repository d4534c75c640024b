"""Why a request got no answer, or no whole one, in words: people read the message, and few of them know Python."""

import re

_WORDS = {
    # the operating system, and the libraries over it
    "ConnectionRefusedError": "the connection was refused, so nothing listens at this address",
    "ConnectionResetError": "the connection was reset",
    "ConnectionAbortedError": "the connection was closed",
    "BrokenPipeError": "the connection was closed",
    "RemoteDisconnected": "the connection was closed without an answer",
    "NewConnectionError": "no connection could be made",
    "NameResolutionError": "the name of the host is not known: there is no network, or the address is wrong",
    "gaierror": "the name of the host is not known: there is no network, or the address is wrong",
    "OSError": "the network cannot be reached",
    "TimeoutError": "there was no answer in time",
    "timeout": "there was no answer in time",
    "ConnectTimeout": "no connection was made in time",
    "ConnectTimeoutError": "no connection was made in time",
    "ReadTimeout": "there was no answer in time",
    "ReadTimeoutError": "there was no answer in time",
    "SSLCertVerificationError": "its certificate is not trusted",
    "InvalidURL": "the address is not valid",
    "MissingSchema": "the address has no https://",
    "LocationParseError": "the address is not valid",
    "SSLError": "the encrypted connection failed",
    "SSLEOFError": "the encrypted connection was closed",
    "IncompleteRead": "the answer ended too early",
    "InvalidChunkLength": "the answer ended in the middle of a chunk",
    "ProtocolError": "the answer broke the rules of HTTP",
    "ConnectionError": "the connection failed",
    # Google's clients
    "NotFound": "it does not exist",
    "Forbidden": "permission is denied",
    "PermissionDenied": "permission is denied",
    "Unauthorized": "the credentials are not accepted",
    "Unauthenticated": "the credentials are not accepted",
    "DefaultCredentialsError": "none were found",
    "RefreshError": "they have expired, or were revoked",
    "RetryError": "no attempt succeeded in time",
    "DeadlineExceeded": "there was no answer in time",
    "GatewayTimeout": "there was no answer in time",
    "TransportError": "the sign-in service cannot be reached",
}


def cause_of(error: BaseException) -> str:
    """Return what the innermost cause of an error is. Messages of errors are left out: they can contain an address."""
    return in_words(name_of(error))


def name_of(error: BaseException) -> str:
    """Return the class name of the innermost cause, such as `ConnectionResetError` for a `ConnectionError`."""
    while isinstance(inner := error.__cause__ or error.__context__, Exception):
        error = inner
    return type(error).__name__


def in_words(name: str) -> str:
    """Return the words for a class of errors; for an unknown one, those of which its name consists."""
    return _WORDS.get(name) or re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
