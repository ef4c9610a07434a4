"""`pdp serve`: the service itself."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import Option

from pdp.commands.options import (
    BundleDir,
    ConfigFile,
    DatabaseUrl,
    EngineChoice,
    OpaUrl,
    Profile,
    StateDir,
)


def serve(
    demo: Annotated[bool, Option("--demo", help="Fill an empty directory with the demo prefecture.")] = False,
    host: Annotated[str | None, Option(help="Address to listen on; default: 127.0.0.1.")] = None,
    port: Annotated[int | None, Option(help="Port; default: 8080, 0 takes a free one.")] = None,
    workers: Annotated[int | None, Option(help="Worker processes; default: 1.")] = None,
    bundle: BundleDir = None,
    profile: Annotated[Profile | None, Option(help="Refuse a bundle of another profile.")] = None,
    engine: EngineChoice = None,
    opa_url: OpaUrl = None,
    opa_token_file: Annotated[str | None, Option(help="File with the OPA server's token.")] = None,
    engine_deadline_ms: Annotated[int | None, Option(help="Deadline of one evaluation; default: 250.")] = None,
    engine_children: Annotated[int | None, Option(help="Evaluations at once in a worker; default: 2.")] = None,
    state_dir: StateDir = None,
    database_url: DatabaseUrl = None,
    directory_poll_s: Annotated[float | None, Option(help="How often a changed directory is looked for.")] = None,
    directory_max_age_s: Annotated[int | None, Option(help="Not ready when no look succeeded for so long.")] = None,
    public_url: Annotated[str | None, Option(help="https://… as gateways know this service.")] = None,
    node: Annotated[str | None, Option(help="Name of this machine in the decision log; unique.")] = None,
    cache: Annotated[Literal["on", "off"] | None, Option(help="Remember verdicts; default: on.")] = None,
    cache_entries: Annotated[int | None, Option(help="Verdicts held in a worker; 0: only in Redis.")] = None,
    redis_url: Annotated[str | None, Option(help="Redis or Valkey that workers and hosts share.")] = None,
    durability: Annotated[
        Literal["power", "process"] | None, Option(help="What an answered decision survives; default: power.")
    ] = None,
    log_full: Annotated[
        Literal["block", "deny", "spill"] | None, Option(help="While the decision log takes nothing; default: block.")
    ] = None,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"] | None, Option(help="Of the operator's log; default: info.")
    ] = None,
    envoy_trusted_hops: Annotated[int | None, Option(help="Proxies in front of Envoy that are ours.")] = None,
    envoy_step_up_url: Annotated[str | None, Option(help="Where a browser confirms its user's identity again.")] = None,
    unsafe_no_caller_auth: Annotated[
        bool, Option("--unsafe-no-caller-auth", help="Everybody may ask everything: for trials only.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Run the service until it is stopped. Every option is a setting, and goes before pdp.toml and PDP_*."""
    from pdp.commands.composed import settings_of
    from pdp.server import serve as run_service

    settings = settings_of(
        config,
        host=host,
        port=port,
        workers=workers,
        bundle=bundle,
        profile=profile,
        engine=engine,
        opa_url=opa_url,
        opa_token_file=opa_token_file,
        engine_deadline_ms=engine_deadline_ms,
        engine_children=engine_children,
        state_dir=state_dir,
        database_url=database_url,
        directory_poll_s=directory_poll_s,
        directory_max_age_s=directory_max_age_s,
        public_url=public_url,
        node=node,
        cache=cache,
        cache_entries=cache_entries,
        redis_url=redis_url,
        durability=durability,
        log_full=log_full,
        log_level=log_level,
        envoy_trusted_hops=envoy_trusted_hops,
        envoy_step_up_url=envoy_step_up_url,
        demo=demo or None,
        unsafe_no_caller_auth=unsafe_no_caller_auth or None,
    )
    run_service(settings)
