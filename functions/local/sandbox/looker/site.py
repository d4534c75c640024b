"""Looker's API 4.0: logins, roles, models, Looks and queries.

Paths, parameters and shapes follow Looker's API 4.0 description (sdk-codegen, spec/Looker.4.0.oas.json).
"""

import dataclasses
import datetime as dt
import os
import pathlib
import re
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from werkzeug.exceptions import HTTPException

from local.sandbox.looker import activity, results
from local.sandbox.looker.answers import (
    LookerRefusal,
    base_url,
    error_response,
    integer_argument,
    invalid,
    json_object,
    not_found,
    select_fields,
)
from local.sandbox.looker.content import SHARED, Content
from local.sandbox.looker.explores import Explore, Warehouse, title_of
from local.sandbox.looker.filters import Malformed, time_zone
from local.sandbox.looker.people import OWN_ID, People
from local.sandbox.looker.queries import Query, QueryRefused, row_limit, translate
from local.sandbox.routing import Router, operation
from local.sandbox.wire import Request, Response

_RELEASE = "26.12.3"
_CREATED_AT = "2026-01-01T00:00:00.000+00:00"
_ROLE_ID = "2"
_PUBLIC = "public"
"The access of an operation that does not need a token."
ALL_PERMISSIONS = frozenset(
    {
        "access_data",
        "administer",
        "download_with_limit",
        "download_without_limit",
        "explore",
        "save_content",
        "schedule_look_emails",
        "see_drill_overlay",
        "see_lookml",
        "see_looks",
        "see_system_activity",
        "see_user_dashboards",
        "send_outgoing_webhook",
    }
)

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclasses.dataclass(frozen=True)
class Look:
    """A saved query with a title."""

    id: str
    title: str
    query: Query
    description: str | None = None
    deleted: bool = False
    "In the trash: it can still be read and run by its ID (API 4.0, `LookWithQuery.deleted`)."
    folder_id: str = SHARED


class SandboxLooker:
    """A site for `wire.Server`: one Looker instance with one API user.

    Attributes may change while it is served, for example a rotated `client_secret` or other `permissions`.
    """

    def __init__(
        self,
        *,
        client_id: str = "sandbox-client",
        client_secret: str = "sandbox-secret",  # noqa: S107  # the sandbox's own secret is public
        permissions: Collection[str] = ALL_PERMISSIONS,
        token_lifetime_s: float = 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self.permissions = permissions
        self.token_lifetime_s = token_lifetime_s
        self.clock = clock
        self.readings = results.Readings()
        self.explores: dict[tuple[str, str], Explore] = {}
        self.looks: dict[str, Look] = {}
        self._queries: dict[str, Query] = {}
        self._tokens: dict[str, float] = {}
        self._warehouse = Warehouse()
        self.history = activity.History(self._warehouse)
        self.people = People(lambda: self.permissions, self._timestamp)
        self.content = Content(lambda: self.permissions, self._model_names, lambda: _CREATED_AT)
        self._router = Router(self, self.people, self.content)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Release the disk space now instead of at the end of the program."""
        self._warehouse.close()

    # Setup.

    def explore(self, model: str, name: str, paths: Paths, **options: Any) -> Explore:
        """Add an explore over CSV files: `.csv`, `.csv.gz` or `.csv.zip`.

        Several files with the same columns are one table.

        A column `dep_time` becomes the dimension `<name>.dep_time`, labelled "Flights Dep Time" in an explore
        `flights`; `<name>.count` counts rows. Options: `label` of the explore; `labels` and `types` by column (types
        of DuckDB, such as `VARCHAR`); `nulls`, the texts that mean a missing value; `fails_after_rows`.
        """
        several = [paths] if isinstance(paths, str | os.PathLike) else paths
        explore = Explore(self._warehouse, model, name, [pathlib.Path(path) for path in several], **options)
        self.explores[model, name] = explore
        return explore

    def look(
        self, look_id: str | int, title: str, model: str, view: str, fields: Iterable[str], **attributes: Any
    ) -> Look:
        """Save a Look. Attributes are those of a query (`filters`, `sorts`, `limit`, …), `description`, `deleted`,
        `folder_id`.
        """
        own = {name: attributes.pop(name) for name in ("description", "deleted", "folder_id") if name in attributes}
        query = _query_of({"model": model, "view": view, "fields": list(fields), **attributes})
        look = Look(str(look_id), title, query, **own)
        self._queries[query.slug] = query
        self.looks[look.id] = look
        return look

    @property
    def live_tokens(self) -> int:
        """The number of logins that have neither expired nor logged out."""
        now = self.clock()
        return sum(expiry > now for expiry in self._tokens.values())

    def expire_tokens(self) -> None:
        """Invalidate all tokens: they are answered with 401."""
        with self._lock:
            self._tokens.clear()

    # Dispatch.

    def answer(self, request: Request) -> Response:
        path = request.path
        try:
            found, values = self._router.find(request)
            path = found.path
            if found.access != _PUBLIC:
                self._authenticate(request)
            return found.answer(request, **values)
        except HTTPException:
            return error_response(not_found(), request, path)
        except LookerRefusal as refusal:
            return error_response(refusal, request, path)

    def _authenticate(self, request: Request) -> str:
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() not in {"token", "bearer"} or self._tokens.get(token.strip(), 0) <= self.clock():
            raise LookerRefusal(401, "Requires authentication.")
        return token.strip()

    # Login.

    @operation("GET", "/alive", access=_PUBLIC)
    def _alive(self, _: Request) -> Response:
        return Response(200, b"", {"Content-Type": "text/plain"})

    @operation("POST", "/api/4.0/login", access=_PUBLIC)
    def _login(self, request: Request) -> Response:
        form = urllib.parse.parse_qs(request.body.read().decode(errors="replace"))
        given = tuple(
            (form.get(name) or request.query.get(name) or [""])[0].encode() for name in ("client_id", "client_secret")
        )
        known = (self.client_id.encode(), self.client_secret.encode())
        if not all(map(secrets.compare_digest, given, known)):
            raise not_found()
        token = secrets.token_urlsafe(30)
        with self._lock:
            self._tokens[token] = self.clock() + self.token_lifetime_s
        return Response.of_json(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": int(self.token_lifetime_s),
                "refresh_token": None,
            }
        )

    @operation("DELETE", "/api/4.0/logout", "/api/logout")  # the official SDK calls the second one
    def _logout(self, request: Request) -> Response:
        with self._lock:
            self._tokens.pop(self._authenticate(request), None)
        return Response(204)

    @operation("GET", "/versions", "/api/4.0/versions", access=_PUBLIC)
    def _versions(self, request: Request) -> Response:
        address = base_url(request)
        version = {"version": "4.0", "full_version": "4.0.26.12", "status": "current", "swagger_url": None}
        return select_fields(
            request,
            {
                "looker_release_version": _RELEASE,
                "current_version": version,
                "supported_versions": [version],
                "api_server_url": address,
                "web_server_url": address,
            },
        )

    # Roles.

    @operation("GET", "/api/4.0/roles")
    def _roles(self, request: Request) -> Response:
        ids = request.argument("ids")
        roles = [self._describe_role()]
        return select_fields(request, [role for role in roles if ids is None or role["id"] in ids.split(",")])

    @operation("GET", "/api/4.0/roles/<role_id>")
    def _role(self, request: Request, role_id: str) -> Response:
        if role_id != _ROLE_ID:
            raise not_found()
        return select_fields(request, self._describe_role())

    @operation("GET", "/api/4.0/users/<user_id>/roles")
    def _user_roles(self, request: Request, user_id: str) -> Response:
        if user_id not in self.people.users:
            raise not_found()
        held = self.people.users[user_id].role_ids
        return select_fields(request, [self._describe_role()] if _ROLE_ID in held else [])

    def _describe_role(self) -> dict[str, Any]:
        models = sorted({*self._model_names(), *([activity.MODEL] if activity.PERMISSION in self.permissions else [])})
        return {
            "id": _ROLE_ID,
            "name": "Bridge",
            "internal": False,
            "permission_set_id": _ROLE_ID,
            "permission_set": {
                "id": _ROLE_ID,
                "name": "Bridge",
                "all_access": False,
                "built_in": False,
                "permissions": sorted(self.permissions),
            },
            "model_set_id": _ROLE_ID,
            "model_set": {"id": _ROLE_ID, "name": "Bridge", "all_access": False, "built_in": False, "models": models},
        }

    # Models and explores.

    @operation("GET", "/api/4.0/lookml_models")
    def _models(self, request: Request) -> Response:
        models = [self._describe_model(name) for name in self._model_names()]
        start = integer_argument(request, "offset") or 0
        limit = integer_argument(request, "limit")
        return select_fields(request, models[start:][:limit])

    @operation("GET", "/api/4.0/lookml_models/<model>")
    def _model(self, request: Request, model: str) -> Response:
        if model not in {known for known, _ in self.explores}:
            raise not_found()
        return select_fields(request, self._describe_model(model))

    def _model_names(self) -> list[str]:
        return list(dict.fromkeys(model for model, _ in list(self.explores)))

    def _describe_model(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "label": title_of(name),
            "project_name": name,
            "has_content": True,
            "allowed_db_connection_names": ["sandbox"],
            "unlimited_db_connections": False,
            "explores": [
                {"name": explore.name, "label": explore.label, "description": None, "hidden": False}
                for explore in self.explores.values()
                if explore.model == name
            ],
            "can": {"show": True},
        }

    @operation("GET", "/api/4.0/lookml_models/<model>/explores/<name>")
    def _explore(self, request: Request, model: str, name: str) -> Response:
        return select_fields(request, self._find_explore(model, name).describe())

    def _find_explore(self, model: str, name: str) -> Explore:
        if (model, name) == (activity.MODEL, activity.EXPLORE) and activity.PERMISSION in self.permissions:
            return self.history.explore()
        if (model, name) not in self.explores:
            raise not_found()
        return self.explores[model, name]

    # Looks and queries.

    @operation("GET", "/api/4.0/looks")
    def _all_looks(self, request: Request) -> Response:
        return select_fields(
            request, [self._describe_look(look, request) for look in self.looks.values() if not look.deleted]
        )

    @operation("GET", "/api/4.0/looks/<look_id>")
    def _one_look(self, request: Request, look_id: str) -> Response:
        look = self._find_look(look_id)
        whole = {"query": look.query.describe(base_url(request)), "url": f"/looks/{look.id}"}
        return select_fields(request, {**self._describe_look(look, request), **whole})

    @operation("GET", "/api/4.0/looks/<look_id>/run/<result_format>")
    def _run_look(self, request: Request, look_id: str, result_format: str) -> Response:
        return self._run(self._find_look(look_id).query, request, result_format)

    def _find_look(self, look_id: str) -> Look:
        if look_id not in self.looks:
            raise not_found()
        return self.looks[look_id]

    def _describe_look(self, look: Look, request: Request) -> dict[str, Any]:
        return {
            "id": look.id,
            "title": look.title,
            "description": look.description,
            "query_id": look.query.slug,
            "model": {"id": look.query.model, "label": title_of(look.query.model)},
            "folder": self.content.describe_folder(look.folder_id),
            "folder_id": look.folder_id,
            "user_id": OWN_ID,
            "user_name": "Sandbox User",
            "created_at": _CREATED_AT,
            "updated_at": _CREATED_AT,
            "deleted": look.deleted,
            "deleted_at": _CREATED_AT if look.deleted else None,
            "public": False,
            "is_run_on_load": True,
            "short_url": f"/looks/{look.id}",
            "embed_url": f"{base_url(request)}/embed/looks/{look.id}",
            "can": {"show": True, "run": True, "download": True},
        }

    @operation("POST", "/api/4.0/queries")
    def _create_query(self, request: Request) -> Response:
        query = _query_of(json_object(request))
        self._queries[query.slug] = query
        return select_fields(request, query.describe(base_url(request)))

    @operation("GET", "/api/4.0/queries/<query_id>", "/api/4.0/queries/slug/<query_id>")
    def _query(self, request: Request, query_id: str) -> Response:
        return select_fields(request, self._find_query(query_id).describe(base_url(request)))

    @operation("GET", "/api/4.0/queries/<query_id>/run/<result_format>")
    def _run_query(self, request: Request, query_id: str, result_format: str) -> Response:
        return self._run(self._find_query(query_id), request, result_format)

    @operation("POST", "/api/4.0/queries/run/<result_format>")
    def _run_inline_query(self, request: Request, result_format: str) -> Response:
        return self._run(_query_of(json_object(request)), request, result_format)

    def _find_query(self, query_id: str) -> Query:
        if query_id not in self._queries:
            raise not_found()
        return self._queries[query_id]

    def _run(self, query: Query, request: Request, result_format: str) -> Response:
        if result_format not in results.FORMATS:
            offered = ", ".join(results.FORMATS)
            raise LookerRefusal(400, f"Unsupported result format {result_format!r}: the sandbox writes {offered}")
        explore = self._find_explore(query.model, query.view)
        limit = row_limit(
            query, integer_argument(request, "limit"), unlimited="download_without_limit" in self.permissions
        )
        try:
            now = dt.datetime.fromtimestamp(self.clock(), time_zone(query.query_timezone))
            statement = translate(query, explore, limit=limit, now=now)
        except (QueryRefused, Malformed) as error:
            if self.readings.refuses_before_rows:
                raise LookerRefusal(400, str(error)) from None
            return Response(200, f"Error: {error}\n".encode(), {"Content-Type": results.content_type(result_format)})
        body = results.blocks(
            result_format,
            statement,
            self._warehouse.cursor(),
            formatted=request.argument("apply_formatting") == "true",
            fails_after_rows=explore.fails_after_rows,
            readings=self.readings,
        )
        self.history.note(activity.QueryRun(query, now))
        return Response(200, body, {"Content-Type": results.content_type(result_format)})

    def _timestamp(self) -> str:
        return dt.datetime.fromtimestamp(self.clock(), dt.UTC).isoformat(timespec="milliseconds")


def _query_of(body: Mapping[str, Any]) -> Query:
    for name in ("model", "view"):
        if not body.get(name):
            raise invalid(name, "missing_field", "This field is required.")
    # Some clients send the limit as a number.
    limit = body.get("limit")
    try:
        query = msgspec.convert({**body, "limit": str(limit) if isinstance(limit, int) else limit}, Query)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$.")
        raise invalid(re.split(r"\W", place)[0], "invalid", message) from None
    if not re.fullmatch(r"-?\d{1,18}|", query.limit or ""):
        raise invalid("limit", "invalid", "limit must be an integer")
    return query
