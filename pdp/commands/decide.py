"""`pdp decide`: one question, answered and explained. Nobody gets access by it, and nothing is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Exit, Option

from pdp.commands.call import StoreCall, spread
from pdp.commands.exit_codes import NO
from pdp.commands.options import BundleDir, EngineChoice, OpaUrl

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.commands.explained import Answered
    from pdp.commands.terminal import Terminal
    from pdp.facts.reference import Reference
    from pdp.model.directory import Snapshot
    from pdp.model.request import AccessRequest
    from pdp.settings import Settings

_Zone = Literal["office", "sase", "ip_vpn", "carrier", "security_cloud", "public"]
_Underlay = Literal["office", "home", "public_wifi", "carrier", "unknown"]
_Action = Literal["access", "read", "write", "download", "administer", "screen_transfer"]
_HERE = "JP"  # where a story is set unless it says otherwise, as in scenario files
_MAX_CHILDREN = 4  # an explanation asks a few hundred questions; more processes start longer than they help


@spread
def decide(
    call: StoreCall,
    user: Annotated[str, Option(help="User id.")],
    resource: Annotated[str, Option(help="Resource id, as in the catalogue.")],
    device: Annotated[str | None, Option(help="Device id.")] = None,
    action: Annotated[_Action, Option(help="What is to be done.")] = "access",
    auth_level: Annotated[int, Option(min=0, max=3, help="1 password, 2 multi-factor, 3 bound to a device.")] = 2,
    auth_age_min: Annotated[int, Option(min=0, help="Minutes since the authentication.")] = 0,
    zone: Annotated[_Zone | None, Option(help="Where from, by name; default: nowhere known, which is public.")] = None,
    source_ip: Annotated[str | None, Option(help="Where from, by address, instead of --zone.")] = None,
    tunnel: Annotated[bool, Option("--tunnel", help="With --source-ip: the gateway saw its own tunnel.")] = False,
    underlay: Annotated[_Underlay | None, Option(help="The line below; default: unknown.")] = None,
    path_encrypted: Annotated[
        bool | None, Option("--path-encrypted/--no-path-encrypted", help="Default: as the tunnel says.")
    ] = None,
    country: Annotated[
        str | None, Option(help="Country code; default: JP with --zone, as the network says with --source-ip.")
    ] = None,
    risk: Annotated[list[str] | None, Option(help="A risk signal; may be given several times.")] = None,
    pep: Annotated[str, Option(help="Limits that the enforcement point can apply, with commas.")] = "",
    tenant: Annotated[str | None, Option(help="Tenant of the resource.")] = None,
    organisation: Annotated[str | None, Option(help="Organisation whose data is asked for.")] = None,
    at: Annotated[str | None, Option(help="Instant such as 2023-08-01T10:00:00+09:00; default: now.")] = None,
    demo: Annotated[bool, Option("--demo", help="Ask in the demonstration prefecture.")] = False,
    explain: Annotated[bool, Option("--explain/--no-explain", help="Which facts decided, and what would help.")] = True,
    bundle: BundleDir = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
) -> None:
    """Decide one access and explain the answer. Exit code 0 for allow and limit, 1 for deny and step-up."""
    from pdp.commands.composed import directory_of, run
    from pdp.commands.explained import answered_json, show_answered
    from pdp.parts import utc_now
    from pdp.scenario.format import moment

    terminal, settings = call.terminal, call.settings(bundle=bundle, engine=engine, opa_url=opa_url)
    now = utc_now() if at is None else moment(at)
    words = tuple(word.strip() for word in pep.split(",") if word.strip())
    question = Question(
        user, resource, device, action, auth_level, auth_age_min, zone, source_ip, tunnel, underlay, path_encrypted,
        country, tuple(risk or ()), words, tenant, organisation,
    )  # fmt: skip
    snapshot = directory_of(settings, now, demo=demo)
    answered = run(_ask(settings, question, snapshot, now, explain=explain, terminal=terminal))
    if terminal.as_json:
        terminal.json(answered_json(answered))
    else:
        show_answered(terminal, answered)
    if not answered.decision.permits:
        raise Exit(NO)


@dataclass(frozen=True, slots=True)
class Question:
    """The options of one question."""

    user: str
    resource: str
    device: str | None
    action: str
    auth_level: int
    auth_age_min: int
    zone: str | None
    source_ip: str | None
    tunnel: bool
    underlay: str | None
    path_encrypted: bool | None
    country: str | None
    risk: tuple[str, ...]
    pep: tuple[str, ...]
    tenant: str | None
    organisation: str | None

    def request(self, reference: Reference, now: datetime) -> AccessRequest:
        """As a gateway would ask. Raises BadRequestError where zone and address are both given."""
        from datetime import timedelta

        from pdp.errors import BadRequestError
        from pdp.identity.levels import ACR_OF_LEVEL
        from pdp.model.request import AccessRequest, AssertedClaims, Network
        from pdp.scenario.world import address_in

        if self.zone is not None and self.source_ip is not None:
            raise BadRequestError("`--zone` and `--source-ip` say the same thing", next_step="give one of them")
        address, tunnel, country = self.source_ip, self.tunnel, self.country
        if self.zone is not None:
            (address, tunnel), country = address_in(self.zone, reference), country or _HERE
        return AccessRequest(
            subject_id=self.user,
            resource_id=self.resource,
            action=self.action,
            identity=AssertedClaims(
                acr=ACR_OF_LEVEL.get(self.auth_level), auth_time=now - timedelta(minutes=self.auth_age_min)
            ),
            device_id=self.device,
            network=Network(address, tunnel, self.underlay, self.path_encrypted, country),
            risk=self.risk,
            pep=self.pep,
            tenant=self.tenant,
            organisation=self.organisation,
            wire="cli",
        )


async def _ask(
    settings: Settings, question: Question, snapshot: Snapshot, now: datetime, *, explain: bool, terminal: Terminal
) -> Answered:
    import os

    from pdp.commands.composed import bundle_of, engine_for
    from pdp.commands.explained import Answered
    from pdp.errors import BadRequestError
    from pdp.explain.explanation import explain as explain_case
    from pdp.explain.policy import Policy
    from pdp.model.input import decode_input
    from pdp.parts import level_table
    from pdp.scenario.in_process import InProcess

    bundle = bundle_of(settings)
    if bundle.profile != "zta":
        raise BadRequestError("the bundle is of profile `plain`", next_step="ask it with `pdp eval`")
    children = min(os.cpu_count() or 1, _MAX_CHILDREN) if explain else 1
    async with engine_for(settings, bundle, children=children) as activation:
        engine = activation.engine
        way = InProcess(engine, bundle, footprint=activation.active().footprint)
        decision = await way.decide(snapshot, question.request(way.reference, now), now, level_table(settings))
        if not explain or decision.fault is not None:
            return Answered(decision, bundle, None)
        with terminal.busy(terminal.pick("説明", "explaining")):
            case = Policy(engine, bundle).case(decode_input(decision.input), decision.verdict)
            return Answered(decision, bundle, await explain_case(case))
