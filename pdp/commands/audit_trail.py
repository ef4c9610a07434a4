"""`pdp audit trail`: who asked what of the decision log, and who changed what."""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING, Annotated

from typer import Option

from pdp.commands.call import StateCall, spread

if TYPE_CHECKING:
    from pdp.trail.event import Event


@spread
def trail(
    call: StateCall,
    size: Annotated[int, Option("--size", min=1, max=100_000, help="So many events, the newest.")] = 50,
    actor: Annotated[str | None, Option("--actor", help="Of this caller or user.")] = None,
    action: Annotated[str | None, Option("--action", help="Such as audit.reveal.")] = None,
    outcome: Annotated[str | None, Option("--outcome", help="begun, done, refused or failed.")] = None,
    since: Annotated[str | None, Option("--since", help="From this time on, with its offset.")] = None,
    until: Annotated[str | None, Option("--until", help="Before this time.")] = None,
    before: Annotated[str | None, Option("--before", help="The next page: what the one before ended with.")] = None,
) -> None:
    """List the trail, newest first; looking at it is written down as well."""
    import msgspec

    from pdp.archive.queries import moment
    from pdp.trail.keeping import record_query, trail_path
    from pdp.trail.reading import TrailFilter, newest_events

    terminal, settings = call.terminal, call.settings()
    asked = {
        "since": since, "until": until, "actor": actor, "action": action, "outcome": outcome, "before": before
    }  # fmt: skip
    times = [
        None if text is None else moment(name, text).replace(tzinfo=UTC)
        for name, text in (("since", since), ("until", until))
    ]
    only = TrailFilter(actor, action, outcome, before, *times)
    events = newest_events(trail_path(settings.state_path), size, only)
    following = events[-1].id if len(events) == size else None
    wanted = {name: value for name, value in asked.items() if value is not None}
    record_query(settings, "audit.trail", {"size": size} | wanted, rows=len(events))
    for event in events:
        terminal.say(_line(event), style="yellow" if event.outcome in ("refused", "failed") else None)
    if terminal.as_json:
        terminal.json({"events": [msgspec.to_builtins(event) for event in events], "next": following})
    terminal.remark(terminal.pick(f"{len(events)} 件", f"{len(events)} events"))
    if following is not None and not terminal.as_json:
        terminal.remark(terminal.pick(f"続きは `--before {following}`", f"older ones: `--before {following}`"))


def _line(event: Event) -> str:
    what = event.action if event.object is None else f"{event.action} {event.object}"
    rows = "" if event.rows is None else f"  {event.rows} rows"
    reason = "" if event.reason is None else f"  ({event.reason})"
    said = ", ".join(f"{name}={value}" for name, value in event.parameters.items())
    line = f"{event.time}  {event.actor.kind}:{event.actor.id}  {what}  {event.outcome}{rows}{reason}  {said}"
    return "".join(letter if letter.isprintable() else "·" for letter in line).rstrip()
