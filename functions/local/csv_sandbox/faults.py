"""What each name of `bridge sandbox --fault` does to the vendors."""

from collections.abc import Callable, Collection, Sequence

from local.csv_sandbox.looks import MODEL, SandboxLook
from local.fault_names import FaultName
from local.sandbox.vendors import SandboxVendors
from local.sandbox.wire import Response

_LOGIN = r"POST /api/4\.0/login"
_QUERY = r"POST /api/4\.0/queries/run/"
_PUSH = r"POST /api/v1/import/push/"
_RETRY_AFTER_S = 120
_IMPORTS_OF_A_SESSION = 1_000
_ALWAYS = -1


_Misbehave = Callable[[SandboxVendors, Sequence[SandboxLook]], None]


def _refuse_login(vendors: SandboxVendors, _: Sequence[SandboxLook]) -> None:
    vendors.looker.client_secret = ""


def _cut_rows(vendors: SandboxVendors, _: Sequence[SandboxLook]) -> None:
    vendors.looker_server.fault(_QUERY, times=_ALWAYS, cut_after_bytes=1)


def _fail_query(vendors: SandboxVendors, looks: Sequence[SandboxLook]) -> None:
    for look in looks:
        vendors.looker.explores[MODEL, look.view].fails_after_rows = 1


def _refuse_keys(vendors: SandboxVendors, _: Sequence[SandboxLook]) -> None:
    vendors.pigment_server.fault(".*", times=_ALWAYS, refuse=Response(401))


def _limit_imports(vendors: SandboxVendors, _: Sequence[SandboxLook]) -> None:
    refusal = Response(429, b"Too many requests.", {"Retry-After": str(_RETRY_AFTER_S), "Content-Type": "text/plain"})
    vendors.pigment_server.fault(_PUSH, times=_ALWAYS, refuse=refusal)


def _lose_answers(vendors: SandboxVendors, _: Sequence[SandboxLook]) -> None:
    vendors.pigment_server.fault(_PUSH, times=_ALWAYS, reset_after=True)


def _skip_rows(vendors: SandboxVendors, looks: Sequence[SandboxLook]) -> None:
    for look in looks:
        for _ in range(_IMPORTS_OF_A_SESSION):
            vendors.pigment.skip_next(look.configuration, 1)


def _fail_imports(vendors: SandboxVendors, looks: Sequence[SandboxLook]) -> None:
    for look in looks:
        for _ in range(_IMPORTS_OF_A_SESSION):
            vendors.pigment.fail_next(look.configuration, "SandboxFault", "The sandbox was told to fail every import.")


_FAULTS: dict[FaultName, _Misbehave] = {
    FaultName.LOOKER_DOWN: lambda vendors, _: vendors.looker_server.stop(),
    FaultName.LOOKER_KEY_REFUSED: _refuse_login,
    FaultName.LOOKER_CUT: _cut_rows,
    FaultName.LOOKER_ERROR_TEXT: _fail_query,
    FaultName.PIGMENT_DOWN: lambda vendors, _: vendors.pigment_server.stop(),
    FaultName.PIGMENT_KEY_REFUSED: _refuse_keys,
    FaultName.PIGMENT_BUSY: _limit_imports,
    FaultName.PIGMENT_LOST_ANSWER: _lose_answers,
    FaultName.PIGMENT_SKIPS: _skip_rows,
    FaultName.PIGMENT_IMPORT_FAILS: _fail_imports,
}


def impose(names: Collection[FaultName], vendors: SandboxVendors, looks: Sequence[SandboxLook]) -> None:
    """Let the vendors misbehave."""
    for name in names:
        _FAULTS[name](vendors, looks)
