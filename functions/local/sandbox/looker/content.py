"""Lists of dashboards, folders and projects."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Iterable
from typing import Any

from local.sandbox.looker.answers import LookerRefusal, select_fields
from local.sandbox.looker.explores import title_of
from local.sandbox.looker.people import OWN_ID
from local.sandbox.routing import operation
from local.sandbox.wire import Request, Response

SHARED = "1"
"The ID of the shared folder."


@dataclasses.dataclass(frozen=True)
class Folder:
    id: str
    name: str
    parent_id: str | None
    created_at: str

    def describe(self, child_count: int) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "parent_id": self.parent_id,
            "creator_id": OWN_ID,
            "created_at": self.created_at,
            "child_count": child_count,
            "external_id": None,
            "is_embed": False,
            "is_personal": False,
            "is_personal_descendant": False,
            "is_shared_root": self.id == SHARED,
            "is_users_root": False,
            "can": {"index": True},
        }


@dataclasses.dataclass(frozen=True)
class Dashboard:
    """A dashboard. The ID is a number, or `model::name` for a LookML dashboard, which `/dashboards` lists as well."""

    id: str
    title: str
    folder_id: str
    description: str | None = None


class Content:
    """The operations on saved content and projects.

    Args:
        permissions: the permissions of the API's own user.
        models: the models; here each model is a project.
        now: the time in the API's format.
    """

    def __init__(
        self,
        permissions: Callable[[], Collection[str]],
        models: Callable[[], Iterable[str]],
        now: Callable[[], str],
    ) -> None:
        self._permissions = permissions
        self._models = models
        self._now = now
        self._numbers = itertools.count(int(SHARED) + 1)
        self.folders: dict[str, Folder] = {SHARED: Folder(SHARED, "Shared", None, now())}
        self.dashboards: dict[str, Dashboard] = {}

    def folder(self, name: str, parent_id: str = SHARED) -> Folder:
        """Create a folder."""
        folder = Folder(str(next(self._numbers)), name, parent_id, self._now())
        self.folders[folder.id] = folder
        return folder

    def dashboard(self, dashboard_id: str | int, title: str, **attributes: Any) -> Dashboard:
        """Save a dashboard. Attributes are those of `Dashboard`."""
        dashboard = Dashboard(str(dashboard_id), title, **{"folder_id": SHARED, **attributes})
        self.dashboards[dashboard.id] = dashboard
        return dashboard

    @operation("GET", "/api/4.0/folders")
    def _all_folders(self, request: Request) -> Response:
        return select_fields(request, [self.describe_folder(folder_id) for folder_id in list(self.folders)])

    @operation("GET", "/api/4.0/dashboards")
    def _all_dashboards(self, request: Request) -> Response:
        return select_fields(request, [self._describe_dashboard(each) for each in list(self.dashboards.values())])

    @operation("GET", "/api/4.0/projects")
    def _all_projects(self, request: Request) -> Response:
        if not {"develop", "see_lookml"} & set(self._permissions()):
            raise LookerRefusal(403, "Forbidden")  # the only list with a 403 (API 4.0, `all_projects`)
        return select_fields(request, [_describe_project(model) for model in self._models()])

    def describe_folder(self, folder_id: str) -> dict[str, Any]:
        """Return a folder as the API shows it, also inside other content."""
        children = sum(folder.parent_id == folder_id for folder in list(self.folders.values()))
        return self.folders[folder_id].describe(children)

    def _describe_dashboard(self, dashboard: Dashboard) -> dict[str, Any]:
        model, is_lookml, _ = dashboard.id.partition("::")
        return {
            "id": dashboard.id,
            "title": dashboard.title,
            "description": dashboard.description,
            "folder": self.describe_folder(dashboard.folder_id),
            "model": {"id": model, "label": title_of(model)} if is_lookml else None,
            "user_id": None if is_lookml else OWN_ID,
            "slug": None if is_lookml else f"dashboard-{dashboard.id}",
            "hidden": False,
            "readonly": bool(is_lookml),
            "query_timezone": None,
            "refresh_interval": None,
            "refresh_interval_to_i": None,
            "preferred_viewer": "dashboards-next",
            "can": {"show": True, "run": True},
        }


def _describe_project(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "uses_git": True,
        "git_remote_url": f"git@git.example.com:looker/{name}.git",
        "git_production_branch_name": "main",
        "git_service_name": "bare",
        "git_release_mgmt_enabled": False,
        "pull_request_mode": "off",
        "validation_required": True,
        "allow_warnings": True,
        "is_example": False,
        "has_production_counterpart": True,
        "dependency_status": "lock_optional",
        "can": {"show": True},
    }
