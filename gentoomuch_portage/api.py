# SPDX-License-Identifier: GPL-2.0-or-later
"""All names that a plugin may import. They are stable; other modules may change at any time."""

from gentoomuch_portage.cli.command import Command
from gentoomuch_portage.config.isolation_kinds import ContainerRequest
from gentoomuch_portage.config.profile import Profile
from gentoomuch_portage.config.settings import Settings
from gentoomuch_portage.errors import ConfigError, GmError, MachineError, RunError, UsageError
from gentoomuch_portage.fs import write as write_file
from gentoomuch_portage.plan.merge import Merge, PackageResult
from gentoomuch_portage.plan.plan import EmergeOption, Env, File, Layer, Line, MakeProfile, Note, Part, Patches, Plan
from gentoomuch_portage.plan.request import Request
from gentoomuch_portage.plugins.hookspec import Follower, RunListener, hookimpl
from gentoomuch_portage.portage_adapter.binpkg import Binpkg, Reject

__all__ = [
    "Binpkg",
    "Command",
    "ConfigError",
    "ContainerRequest",
    "EmergeOption",
    "Env",
    "File",
    "Follower",
    "GmError",
    "Layer",
    "Line",
    "MachineError",
    "MakeProfile",
    "Merge",
    "Note",
    "PackageResult",
    "Part",
    "Patches",
    "Plan",
    "Profile",
    "Reject",
    "Request",
    "RunError",
    "RunListener",
    "Settings",
    "UsageError",
    "hookimpl",
    "write_file",
]
