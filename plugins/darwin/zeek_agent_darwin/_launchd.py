"""Pure: jobs of launchd, from their property lists and from `launchctl print system`."""

import plistlib
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from zeek_agent_core.api import storable

SERVICE = re.compile(r"\s*(\d+|-)\s+(\S+)\s+(\S.*?)\s*$")
"""Process (0 or `-`: none), last exit status, label."""
OVERRIDE = re.compile(r'\s*"(.+)" => (\w+)')


class Domain(NamedTuple):
    """What launchd knows of the jobs of the system."""

    pids: Mapping[str, int | None]
    """The process of each loaded job, by label."""
    enabled: Mapping[str, bool]
    """What an administrator decided about a job."""


class Job(NamedTuple):
    """What a property list says; see launchd.plist(5)."""

    label: str
    is_disabled: bool


def parse_domain(text: str) -> Domain:
    """Return what `launchctl print system` tells; its layout is not promised by Apple."""
    pids: dict[str, int | None] = {}
    enabled: dict[str, bool] = {}
    block = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.endswith("= {"):
            block = stripped[:-3].strip()
        elif stripped == "}":
            block = ""
        elif block == "services" and (found := SERVICE.match(line)):
            pids[found[3]] = int(found[1]) if found[1].isdecimal() and int(found[1]) else None
        elif block == "disabled services" and (found := OVERRIDE.match(line)):
            enabled[found[1]] = found[2] in {"enabled", "false"}
    return Domain(pids, enabled)


def parse_job(raw: bytes) -> Job | None:
    """Return the job of a property list; None if it is none."""
    try:
        content: Any = plistlib.loads(raw)
    except Exception:
        return None
    if not isinstance(content, dict) or not isinstance(content.get("Label"), str):
        return None
    return Job(storable(content["Label"]), content.get("Disabled") is True)
