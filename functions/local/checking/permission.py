"""Whether Looker's user may download without limit, which is by role, and a role is for some models only."""

import msgspec

from common.looker.client import LookerClient
from common.platform.errors import BridgeError
from local.checking.finding import Finding, green, red, yellow

_PERMISSION = "download_without_limit"
NEXT_STEP = (
    f"Give the bridge's Looker user a role whose permission set holds {_PERMISSION} and whose model set holds the "
    "models of the pulls (Looker: Admin > Roles)."
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

    def grants(self) -> bool:
        held = self.permission_set
        if held is None or not (held.all_access or _PERMISSION in (held.permissions or [])):
            return False
        return self.every_model() or bool(self.models())

    def every_model(self) -> bool:
        return self.model_set is None or bool(self.model_set.all_access)

    def models(self) -> list[str]:
        return (self.model_set.models if self.model_set else None) or []


class Grant(msgspec.Struct, frozen=True):
    """On which models the user may download without limit."""

    roles: list[_Role]
    "Those that grant it."
    certain: bool
    "Whether every role of the user could be seen."

    def covers(self, model: str) -> bool:
        return any(role.every_model() or model in role.models() for role in self.roles)

    def finding(self, subject: str) -> Finding:
        if any(role.every_model() for role in self.roles):
            return green(subject, "The user may download without limit.")
        if self.roles:
            models = sorted({model for role in self.roles for model in role.models()})
            return green(subject, f"The user may download without limit from {', '.join(models)}.")
        if self.certain:
            return red(subject, f"The user has no role with the permission {_PERMISSION}.", NEXT_STEP)
        return yellow(
            subject,
            f"Looker does not show this user its roles, so whether it has {_PERMISSION} cannot be seen.",
            f"Ask a Looker admin whether one of its roles has {_PERMISSION} (Admin > Users). Without it, files end at "
            "5,000 rows, and the bridge refuses those.",
        )


def find_grant(looker: LookerClient, role_ids: list[str]) -> Grant:
    if not role_ids:
        return Grant([], certain=False)
    try:
        roles = looker.get_as(list[_Role], "/roles", "the roles of its user", ids=",".join(role_ids))
    except BridgeError:
        return Grant([], certain=False)
    return Grant([role for role in roles if role.grants()], certain=len(roles) >= len(role_ids))
