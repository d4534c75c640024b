"""Pigment on this machine: its import, export and metadata endpoints, and what a person would set up in its screens."""

from local.sandbox.pigment.model import Column, Import
from local.sandbox.pigment.site import Pigment

__all__ = ["Column", "Import", "Pigment"]
