"""The permission download_without_limit of Looker's user. It comes from roles, and a role is for some models only."""

import msgspec

from common.looker.client import LookerClient
from common.platform.errors import BridgeError
from local.checks.finding import Finding, green, red, yellow

_PERMISSION = "download_without_limit"
NEXT_STEP = (
    f"Give the bridge's Looker user a role whose permission set contains {_PERMISSION} and whose model set contains "
    "the models of the pulls (Looker: Admin > Roles)."
)


class _PermissionSet(msgspec.Struct, frozen=True):
    all_access: bool | None = None
    permissions: list[str] | None = None


class _ModelSet(msgspec.Struct, frozen=True):
    all_access: bool | None = None
    models: list[str] | None = None


class _Role(msgspec.Struct, frozen=True):
    permission_set: _PermissionSet | None = None
    model_set: _ModelSet | None = None

    def has_permission(self) -> bool:
        permissions = self.permission_set
        if permissions is None or not (permissions.all_access or _PERMISSION in (permissions.permissions or [])):
            return False
        return self.has_all_models() or bool(self.models())

    def has_all_models(self) -> bool:
        return self.model_set is None or bool(self.model_set.all_access)

    def models(self) -> list[str]:
        return (self.model_set.models if self.model_set else None) or []


class DownloadPermission(msgspec.Struct, frozen=True):
    """The models from which the user may download without limit."""

    roles: list[_Role]
    "The roles that have the permission."
    is_complete: bool
    "False if Looker did not show all roles of the user."

    def covers(self, model: str) -> bool:
        return any(role.has_all_models() or model in role.models() for role in self.roles)

    def excludes(self, model: str) -> bool:
        """Return whether the user certainly has the permission, but not for this model."""
        return bool(self.roles) and self.is_complete and not self.covers(model)

    def finding(self, subject: str) -> Finding:
        if any(role.has_all_models() for role in self.roles):
            return green(subject, "The user may download without limit.")
        if self.roles:
            models = sorted({model for role in self.roles for model in role.models()})
            return green(subject, f"The user may download without limit from {', '.join(models)}.")
        if self.is_complete:
            return red(subject, f"The user has no role with the permission {_PERMISSION}.", NEXT_STEP)
        return yellow(
            subject,
            f"Looker does not show this user its roles, so {_PERMISSION} cannot be checked.",
            f"Ask a Looker admin whether one of its roles has {_PERMISSION} (Admin > Users). Without it, files end at "
            "5,000 rows, and the bridge refuses such files.",
        )


def read_permission(looker: LookerClient, role_ids: list[str]) -> DownloadPermission:
    if not role_ids:
        return DownloadPermission([], is_complete=False)
    try:
        roles = looker.get_as(list[_Role], "/roles", "the roles of its user", ids=",".join(role_ids))
    except BridgeError:
        return DownloadPermission([], is_complete=False)
    return DownloadPermission(
        [role for role in roles if role.has_permission()], is_complete=len(roles) >= len(role_ids)
    )
