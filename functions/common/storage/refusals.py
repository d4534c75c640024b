"""Cloud Storage's refusals, and those of the libraries between, as errors of the bridge."""

import contextlib
from collections.abc import Iterator

import requests
from google.api_core import exceptions as google_errors
from google.auth import exceptions as auth_errors
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse

from common.platform.causes import cause_of, in_words
from common.platform.errors import SIGN_IN, DiskFull, StorageBusy, StorageRefused


@contextlib.contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Convert the errors of Google's client and of its libraries."""
    try:
        yield
    except InvalidResponse as error:
        status = error.response.status_code
        _expect_space(error.response)
        is_busy = status == requests.codes.too_many_requests or status >= requests.codes.server_error
        kind = StorageBusy if is_busy else StorageRefused
        raise kind(f"Cloud Storage answered {status} when asked to {doing}.") from error
    except DataCorruption as error:
        raise StorageBusy(f"The transferred data did not match its checksum when asked to {doing}.") from error
    except (google_errors.ServerError, google_errors.TooManyRequests, google_errors.RetryError) as error:
        raise StorageBusy(f"Cloud Storage could not {doing}: {_cause(error)}.") from error
    except google_errors.GoogleAPIError as error:
        _expect_space(getattr(error, "response", None))
        raise StorageRefused(f"Cloud Storage refused to {doing}: {_cause(error)}.") from error
    except auth_errors.TransportError as error:
        raise StorageBusy(f"Google's sign-in service could not be reached to {doing}.") from error
    except auth_errors.DefaultCredentialsError as error:
        raise StorageRefused(
            f"Nobody is signed in to Google, which is needed to {doing}.", next_step=SIGN_IN
        ) from error
    except auth_errors.GoogleAuthError as error:
        raise StorageRefused(f"There are no usable Google credentials to {doing}: {cause_of(error)}.") from error
    except (requests.RequestException, ConnectionError) as error:
        raise StorageBusy(f"Cloud Storage could not be reached to {doing}: {cause_of(error)}.") from error


def _cause(error: google_errors.GoogleAPIError) -> str:
    last = error.cause if isinstance(error, google_errors.RetryError) else error
    # What caused an answer's error says only that the answer was not the expected one.
    return in_words(type(last).__name__) if isinstance(last, google_errors.GoogleAPICallError) else cause_of(error)


def _expect_space(answer: requests.Response | None) -> None:
    """Raise DiskFull if the storage of a bridge on this machine says so; Cloud Storage never answers 507."""
    if answer is not None and answer.status_code == requests.codes.insufficient_storage:
        raise DiskFull(str(answer.json()["error"]["message"])) from None
