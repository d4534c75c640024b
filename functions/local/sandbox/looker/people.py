"""Users with their logins, groups and roles."""

import itertools
import re
import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from local.sandbox.looker.answers import (
    LookerRefusal,
    base_url,
    invalid,
    json_object,
    not_found,
    paginate,
    search,
    select_fields,
)
from local.sandbox.routing import operation
from local.sandbox.wire import Request, Response

OWN_ID = "1"
"The ID of the API's own user."

_SEARCHED = ("id", "first_name", "last_name", "full_name", "email", "is_disabled", "is_service_account")
_PUBLIC = ("id", "first_name", "last_name", "display_name", "avatar_url", "url", "can")
"The fields of other users that a user without administrator rights sees."


class ApiCredentials(msgspec.Struct, frozen=True):
    """API credentials of a user. The secret is shown only when they are created."""

    id: str
    client_id: str
    created_at: str
    purpose: str | None = None


class User(msgspec.Struct, frozen=True):
    """A user of Looker."""

    id: str
    first_name: str | None = None
    last_name: str | None = None
    is_disabled: bool = False
    locale: str | None = "en"
    home_folder_id: str | None = None
    can_manage_api3_creds: bool = True
    email: str | None = None
    "The address of its e-mail login, if it has one."
    email_since: str = ""
    keys: tuple[ApiCredentials, ...] = ()
    role_ids: tuple[str, ...] = ()
    group_ids: tuple[str, ...] = ()

    @property
    def full_name(self) -> str | None:
        names = [name for name in (self.first_name, self.last_name) if name]
        return " ".join(names) or None


class _UserChanges(msgspec.Struct, frozen=True):
    """The writable fields of a user. Looker ignores all other fields of the body (API 4.0, `WriteUser`)."""

    first_name: str | msgspec.UnsetType | None = msgspec.UNSET
    last_name: str | msgspec.UnsetType | None = msgspec.UNSET
    is_disabled: bool | msgspec.UnsetType = msgspec.UNSET
    locale: str | msgspec.UnsetType | None = msgspec.UNSET
    home_folder_id: str | msgspec.UnsetType | None = msgspec.UNSET
    can_manage_api3_creds: bool | msgspec.UnsetType = msgspec.UNSET

    def of(self, user: User) -> User:
        said = {name: value for name, value in msgspec.structs.asdict(self).items() if value is not msgspec.UNSET}
        return msgspec.structs.replace(user, **said)


class People:
    """The operations on users and groups.

    Args:
        permissions: the permissions of the API's own user.
        now: the time in the API's format.
    """

    def __init__(self, permissions: Callable[[], Collection[str]], now: Callable[[], str]) -> None:
        self._permissions = permissions
        self._now = now
        self._numbers = itertools.count(int(OWN_ID) + 1)
        self._lock = threading.Lock()
        self.groups: dict[str, str] = {"1": "All Users"}
        "Names by id."
        own = User(OWN_ID, "Sandbox", "User", email="sandbox@example.com", role_ids=("2",))
        self.users: dict[str, User] = {OWN_ID: own}

    def add(self, first_name: str | None, last_name: str | None, email: str | None = None, **more: Any) -> User:
        """Add a user; `more` are attributes of `User`."""
        with self._lock:
            user = User(str(next(self._numbers)), first_name, last_name, email=email, email_since=self._now(), **more)
            self.users[user.id] = user
            return user

    # Users.

    @operation("GET", "/api/4.0/user")
    def _me(self, request: Request) -> Response:
        return select_fields(request, self._describe_user(self.users[OWN_ID], request))

    @operation("GET", "/api/4.0/users")
    def _all(self, request: Request) -> Response:
        ids = request.argument("ids")
        wanted = None if ids is None else ids.split(",")
        return paginate(request, [row for row in self._described(request) if wanted is None or row["id"] in wanted])

    @operation("GET", "/api/4.0/users/search")
    def _search(self, request: Request) -> Response:
        names = {user.id: user.full_name for user in self.users.values()}
        rows = [{**row, "full_name": names[row["id"]]} for row in self._described(request)]
        group = request.argument("group_id")
        found = [row for row in search(request, rows, _SEARCHED) if group is None or group in row["group_ids"]]
        return paginate(request, [{name: row[name] for name in row if name != "full_name"} for row in found])

    @operation("POST", "/api/4.0/users")
    def _create(self, request: Request) -> Response:
        self._expect_administrator()
        changes = _changes(json_object(request))
        with self._lock:
            user = changes.of(User(str(next(self._numbers)), group_ids=("1",)))
            self.users[user.id] = user
        return select_fields(request, self._describe_user(user, request))

    @operation("GET", "/api/4.0/users/<user_id>")
    def _one(self, request: Request, user_id: str) -> Response:
        return select_fields(request, self._describe_visible(self._find_user(user_id), request))

    @operation("PATCH", "/api/4.0/users/<user_id>")
    def _update(self, request: Request, user_id: str) -> Response:
        self._expect_administrator()
        changes = _changes(json_object(request))
        return select_fields(request, self._describe_user(self._replace(user_id, changes.of), request))

    @operation("DELETE", "/api/4.0/users/<user_id>")
    def _delete(self, _: Request, user_id: str) -> Response:
        self._expect_administrator()
        if self._find_user(user_id).id == OWN_ID:
            raise LookerRefusal(403, "You cannot delete yourself")  # API 4.0, `delete_user`
        with self._lock:
            del self.users[user_id]
        return Response(204)

    # Logins.

    @operation("GET", "/api/4.0/users/<user_id>/credentials_email")
    def _login(self, request: Request, user_id: str) -> Response:
        user = self._find_user(user_id)
        if user.email is None:
            raise not_found()
        return select_fields(request, _describe_login(user, request))

    @operation("POST", "/api/4.0/users/<user_id>/credentials_email")
    def _create_login(self, request: Request, user_id: str) -> Response:
        self._expect_administrator()
        if self._find_user(user_id).email is not None:
            raise LookerRefusal(409, "Resource already exists")
        email, now = self._new_address(json_object(request)), self._now()
        user = self._replace(user_id, lambda known: msgspec.structs.replace(known, email=email, email_since=now))
        return select_fields(request, _describe_login(user, request))

    def _new_address(self, body: Mapping[str, Any]) -> str:
        email = body.get("email")
        if not email:
            raise invalid("email", "missing_field", "This field is required.")
        if not isinstance(email, str) or not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
            raise invalid("email", "invalid", "Email must be a valid address")
        if any(email.casefold() == (user.email or "").casefold() for user in self.users.values()):
            raise invalid("email", "already_exists", "Email already in use")
        return email

    @operation("GET", "/api/4.0/users/<user_id>/credentials_api3")
    def _keys(self, request: Request, user_id: str) -> Response:
        self._expect_administrator()
        return select_fields(request, [_describe_key(key) for key in self._find_user(user_id).keys])

    @operation("POST", "/api/4.0/users/<user_id>/credentials_api3")
    def _create_key(self, request: Request, user_id: str) -> Response:
        self._expect_administrator()
        key = ApiCredentials(str(len(self._find_user(user_id).keys) + 1), secrets.token_hex(10), self._now())
        self._replace(user_id, lambda user: msgspec.structs.replace(user, keys=(*user.keys, key)))
        return select_fields(request, {**_describe_key(key), "client_secret": secrets.token_hex(12)})

    # Groups.

    @operation("GET", "/api/4.0/groups")
    def _all_groups(self, request: Request) -> Response:
        members = list(self.users.values())
        return paginate(
            request,
            [
                {
                    "id": group_id,
                    "name": name,
                    "user_count": sum(group_id in user.group_ids for user in members),
                    "externally_managed": False,
                    "include_by_default": group_id == "1",
                    "can": {"show": True},
                }
                for group_id, name in self.groups.items()
            ],
        )

    # Shared by the operations above.

    @property
    def _is_administrator(self) -> bool:
        return "administer" in self._permissions()

    def _expect_administrator(self) -> None:
        if not self._is_administrator:
            raise not_found()

    def _find_user(self, user_id: str) -> User:
        if user_id not in self.users:
            raise not_found()
        return self.users[user_id]

    def _replace(self, user_id: str, change: Callable[[User], User]) -> User:
        with self._lock:
            self.users[user_id] = change(self._find_user(user_id))
            return self.users[user_id]

    def _described(self, request: Request) -> Iterable[dict[str, Any]]:
        return (self._describe_visible(user, request) for user in list(self.users.values()))

    def _describe_visible(self, user: User, request: Request) -> dict[str, Any]:
        whole = self._describe_user(user, request)
        if self._is_administrator or user.id == OWN_ID:
            return whole
        return {name: whole[name] for name in _PUBLIC}

    def _describe_user(self, user: User, request: Request) -> dict[str, Any]:
        both_names = user.first_name and user.last_name
        return {
            "id": user.id,
            "first_name": user.first_name,
            "last_name": user.last_name,
            "display_name": user.full_name if both_names else None,  # API 4.0, `User.display_name`
            "email": user.email,
            "avatar_url": f"https://avatars.example.com/{user.id}",
            "credentials_email": None if user.email is None else _describe_login(user, request),
            "credentials_api3": [_describe_key(key) for key in user.keys],
            "is_disabled": user.is_disabled,
            "is_service_account": False,
            "locale": user.locale,
            "home_folder_id": user.home_folder_id,
            "personal_folder_id": None,
            "can_manage_api3_creds": user.can_manage_api3_creds,
            "group_ids": list(user.group_ids),
            "role_ids": list(user.role_ids),
            "can": {"show": True},
            "url": f"{base_url(request)}/api/4.0/users/{user.id}",
        }


def _changes(body: Mapping[str, Any]) -> _UserChanges:
    try:
        return msgspec.convert(body, _UserChanges)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise invalid(place.rstrip("`"), "invalid", message) from None


def _describe_login(user: User, request: Request) -> dict[str, Any]:
    url = f"{base_url(request)}/api/4.0/users/{user.id}"
    return {
        "email": user.email,
        "created_at": user.email_since,
        "user_id": user.id,
        "is_disabled": user.is_disabled,
        "forced_password_reset_at_next_login": False,
        "logged_in_at": None,
        "password_reset_url": None,
        "type": "email",
        "url": f"{url}/credentials_email",
        "user_url": url,
        "can": {"show_password_reset_url": True},
    }


def _describe_key(key: ApiCredentials) -> dict[str, Any]:
    return {
        "id": key.id,
        "client_id": key.client_id,
        "created_at": key.created_at,
        "is_disabled": False,
        "type": "api3",
        "purpose": key.purpose,
        "can": {},
    }
