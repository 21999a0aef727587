"""Pure: topics of both directions, and groups that match by component.

Zeek matches subscriptions by bare prefix: `group/web` would also receive what
is meant for `group/web2`. So what arrives is compared with the exact topic.
"""

from collections.abc import Iterable

QUERY = "/zeek-agent/query"
RESPONSE = "/zeek-agent/response"
MOST_GROUP_CHARACTERS = 200


def group_name(text: str) -> str | None:
    """Return *text* as the name of a group, in lower case; None if it cannot be one."""
    name = "/".join(part for part in text.strip().lower().split("/") if part)
    is_fine = name.isprintable() and not any(c.isspace() for c in name)
    return name if name and is_fine and len(name) <= MOST_GROUP_CHARACTERS else None


def with_parents(group: str) -> list[str]:
    """Return *group* and all it lies in: `geo/de` is also in `geo`."""
    parts = group.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def memberships(groups: Iterable[str], platform: str) -> tuple[str, ...]:
    """Return the names of all groups that an agent is in, in order of subscription."""
    named = [name for name in map(group_name, groups) if name is not None]
    wanted = [*named, "all", platform.lower()]
    return tuple(dict.fromkeys(part for name in wanted for part in with_parents(name)))


def subscriptions(agent_id: str, members: Iterable[str]) -> tuple[str, ...]:
    """Return what an agent that is in the groups *members* subscribes to, in order."""
    topics = [f"{QUERY}/host/{agent_id}"]
    for group in members:
        topics += [f"{QUERY}/group/{group}", f"{QUERY}/group/{agent_id}/{group}"]
    return tuple(topics)


def group_of(topic: str, agent_id: str) -> str | None:
    """Return the group that *topic* addresses; None for a topic of this host alone."""
    start = f"{QUERY}/group/"
    if not topic.startswith(start):
        return None
    return topic.removeprefix(start).removeprefix(f"{agent_id}/").removesuffix("/")


def to_all(agent_id: str) -> str:
    """Return the topic for what every Zeek is told."""
    return f"{RESPONSE}/all/{agent_id}"


def to_one(instance: str, agent_id: str) -> str:
    """Return the topic for what one Zeek is told."""
    return f"{RESPONSE}/{instance}/{agent_id}"
