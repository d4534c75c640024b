"""Pigment on this machine: its import, export and metadata endpoints, and what a person would set up in its screens."""

from local.sandbox.pigment.model import BlockColumn, SandboxImport
from local.sandbox.pigment.site import SandboxPigment

__all__ = ["BlockColumn", "SandboxImport", "SandboxPigment"]
