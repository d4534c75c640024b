"""Local Pigment: its import, export and metadata endpoints, and the setup that a person does in its web interface."""

from local.sandbox.pigment.loading import RowEdit
from local.sandbox.pigment.model import BlockColumn, SandboxImport
from local.sandbox.pigment.site import SandboxPigment

__all__ = ["BlockColumn", "RowEdit", "SandboxImport", "SandboxPigment"]
