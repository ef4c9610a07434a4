"""Settings: defaults, then `pdp.toml`, then `PDP_*` environment variables, then the command line.

Every name in `Settings` is a key of `pdp.toml` and, in capitals after `PDP_`, an environment variable
(`state_dir` and `PDP_STATE_DIR`). A name that does not exist is an error: a misspelt setting that is
silently ignored is a hole.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from pdp.errors import SettingsError
from pdp.model.cloudflare import CloudflareAccount
from pdp.model.console import ConsoleSettings
from pdp.model.issuer import Issuer
from pdp.model.log_copy import ClickHouseServer, ObjectStore
from pdp.model.log_masking import MaskingRule
from pdp.model.log_target import LogTarget
from pdp.model.log_token import TokenKey
from pdp.model.policy_lease import LeaseEnd
from pdp.model.provisioning import ScimTenant
from pdp.model.signal_stream import SignalStream
from pdp.model.source import Fact, SourceSettings
from pdp.model.ssf_transmitter import SsfTransmitter

if TYPE_CHECKING:
    from collections.abc import Mapping

Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
ScimCaller = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]  # as `scim:CALLER` it owns people


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one service runs. Paths are relative to the working directory."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    state_dir: str = "var"
    public_url: str = ""  # https://… as gateways know this service; empty: http://host:port
    node: str = "node-1"  # stands in the decision log; unique per machine

    bundle: str = ""  # directory; empty: the policies that come with the package
    profile: Literal["", "zta", "plain"] = ""  # refuse a bundle of another profile; empty: take the bundle's own

    bundle_keys: list[str] = msgspec.field(default_factory=list)  # PEM, public: who may say which revision is of record
    bundle_signing_key_file: str = ""  # PEM, private: signs activations here. Empty: they are signed elsewhere
    git_allowed_signers_file: str = ""  # as ssh-keygen reads it: who must have signed a commit that is imported
    policy_people: dict[str, list[str]] = msgspec.field(default_factory=dict)  # person: the ids that are all theirs
    policy_poll_s: Annotated[float, msgspec.Meta(ge=0.05, le=60)] = 0.25  # the longest until a revision is seen
    policy_lease_s: Annotated[int, msgspec.Meta(ge=0, le=31_622_400)] = 3600  # without a confirmation; 0: without end
    policy_lease_end: LeaseEnd = "deny_unless_disaster"
    policy_warn_max_days: Annotated[int, msgspec.Meta(ge=0, le=92)] = 31  # of a time of warning; 0: there is none
    policy_invariants_file: str = ""  # YAML: what a draft is held to beside the shipped invariants
    foresight_losing_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05  # of all people, by one draft
    foresight_losing_device_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.05  # of the devices, by one draft
    foresight_stale_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1  # of the devices: beyond it, no pass
    foresight_protected_roles: list[str] = msgspec.field(default_factory=lambda: ["disaster_response"])
    foresight_protected_departments: list[str] = msgspec.field(default_factory=list)
    export_mappings: str = ""  # directory with TARGET.yaml: our ids in the words of each target of exports

    database_url: str = ""  # empty: SQLite in state_dir
    directory_poll_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 1.0
    directory_max_age_s: Annotated[int, msgspec.Meta(ge=1)] = 900  # without a look that succeeded: deny, POLICY_STALE

    engine: Literal["regorus", "opa"] = "regorus"
    engine_deadline_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 250  # a decision takes one or two
    decision_table: Literal["on", "off"] = "on"  # regorus: count the policy out, and look answers up
    shadow_bundle: str = ""  # a draft that judges live traffic beside the active policy; empty: none
    shadow_per_s: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 20  # decisions that it is shown at most, a worker
    engine_children: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2  # regorus: most evaluations at once in a worker
    opa_url: str = "http://127.0.0.1:8181"
    opa_token_file: str = ""

    cache: Literal["on", "off"] = "on"
    cache_entries: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 50_000  # in the process; 0: only in Redis
    redis_url: str = ""  # empty: none. redis:// unix:// redis+sentinel:// redis+cluster://, or rediss…
    redis_prefix: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")] = "sekisho"  # of every key
    redis_username: str = ""
    redis_password_file: str = ""
    redis_ca_file: str = ""
    redis_cert_file: str = ""
    redis_key_file: str = ""
    redis_secret_file: str = ""  # seals what stands in Redis; the same on every host. Empty: made in state_dir
    redis_deadline_ms: Annotated[float, msgspec.Meta(gt=0, le=1_000)] = 2.0  # the most that Redis costs a decision
    demo_valkey: bool = True  # with demo and no redis_url: a Valkey server of our own

    durability: Literal["power", "process"] = "power"
    log_full: Literal["block", "deny", "spill"] = "block"
    log_spill_dir: str = ""  # with `spill`: a directory on another disk, of this host alone
    audit_keep_segments_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0  # once stored as Parquet; 0: for ever
    audit_unshipped_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 30  # a segment waits so long for a target
    audit_hot_months: Annotated[int, msgspec.Meta(ge=1, le=1_200)] = 12
    audit_archive_months: Annotated[int, msgspec.Meta(ge=0, le=1_200)] = 36  # after the hot ones
    audit_archive_dir: str = ""  # where archived files go; empty: they stay where they are
    audit_memory_mb: Annotated[int, msgspec.Meta(ge=128, le=1_048_576)] = 1024  # of one question
    audit_threads: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2  # of one question
    audit_other_logs: list[str] = msgspec.field(default_factory=list)  # decision logs of other hosts, as mounted here
    audit_questions: Annotated[int, msgspec.Meta(ge=1, le=32)] = 2  # over HTTP at once, in one worker
    audit_questions_per_caller: Annotated[int, msgspec.Meta(ge=0, le=32)] = 0  # of these at once; 0: all but one
    audit_departments: dict[str, list[str]] = msgspec.field(default_factory=dict)  # caller: all that it may see of
    audit_pseudonym_file: str = ""  # keys of operators' pseudonyms, the same on every host. Empty: made in state_dir
    log_proof: Literal["on", "off"] = "on"  # signed heads over the decision log, docs/audit-proof.md
    log_origin: Annotated[str, msgspec.Meta(pattern=r"^[^\s+]{0,200}\Z")] = ""  # names the log; empty: sekisho.log/NODE
    log_key_file: str = ""  # PEM, Ed25519: signs the heads. Empty: made in state_dir
    log_previous_key_file: str = ""  # the key before it: signs for the new one once
    log_key_token: TokenKey | None = None  # [log_key_token]: the key in a PKCS#11 device, in the place of files
    log_checkpoint_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 1.0  # a head so often, while there are records
    log_anchors: list[str] = msgspec.field(
        default_factory=list
    )  # file:/PATH, syslog+…://, s3+https://, rfc3161+https://
    log_anchor_ca_file: str = ""  # PEM; authorities of syslog+tls. Empty: those of the system

    log_masking: list[MaskingRule] = msgspec.field(default_factory=list)  # [[log_masking]]: docs/privacy.md
    log_pseudonym_key_file: str = ""  # one key a line, EPOCH HEX. Empty: made in state_dir when it is first needed
    audit_pseudonymise: list[MaskingRule] = msgspec.field(default_factory=list)  # of old records; empty: our own rules

    audit_clickhouse: ClickHouseServer | None = None  # [audit_clickhouse]: sealed segments are copied there
    audit_object_store: ObjectStore | None = None  # [audit_object_store]: stored files are copied there (S3)
    log_anchor_tsa_file: str = ""  # PEM: the roots that rfc3161 anchors are held against
    log_targets: list[LogTarget] = msgspec.field(default_factory=list)  # [[log_targets]]: where decisions are shipped

    tls_cert_file: str = ""  # PEM, the chain too; empty: plain HTTP, for loopback or behind a proxy that ends TLS
    tls_key_file: str = ""
    tls_client_ca_file: str = ""  # PEM; authorities of callers' certificates
    tls_client_crl: str = ""  # PEM file, or a folder: those authorities' revocation lists. Empty: none is looked at
    tls_client_certificate: Literal["off", "optional", "required"] = "off"
    caller_certificate_header: Literal["", "client-cert", "x-forwarded-client-cert", "ssl-client-cert"] = ""
    caller_proxies: list[str] = msgspec.field(default_factory=list)  # networks, `sha256:…`: who may set that header
    caller_scopes: dict[str, list[str]] = msgspec.field(default_factory=dict)  # OAuth scope to permissions
    unsafe_no_caller_auth: bool = False
    demo: bool = False
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    acr_levels: dict[str, Annotated[int, msgspec.Meta(ge=0, le=3)]] = msgspec.field(default_factory=dict)
    issuers: tuple[Issuer, ...] = ()  # identity providers whose tokens count; each a table `[[issuers]]`
    dpop_nonce_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 0  # one DPoP nonce is handed out so long; 0: none
    dpop_nonce_secret_file: str = ""  # makes the nonces; the same on every host. Empty: made in state_dir
    envoy_trusted_hops: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    envoy_step_up_url: str = ""  # https template with {acr_values} and {return_to}; empty: no redirects
    envoy_return_origins: list[str] = msgspec.field(default_factory=list)  # https://host: where browsers may return
    envoy_strict_path: bool = True
    grpc_host: str = "127.0.0.1"
    grpc_port: Port = 0  # ext_authz over gRPC; 0: off
    grpc_cert_file: str = ""  # PEM; empty: no TLS, for a gateway on the same machine
    grpc_key_file: str = ""
    grpc_client_ca_file: str = ""  # PEM; lets in only who shows a certificate of these authorities

    posture_push_facts: dict[str, list[Fact]] = msgspec.field(default_factory=dict)  # caller: all that it may report
    hip_utc_offset_minutes: Annotated[int, msgspec.Meta(ge=-840, le=840)] = 540  # pushed HIP reports name no offset
    hip_definitions_age_days: Annotated[int, msgspec.Meta(ge=0, le=365)] = 7  # older definitions are not current
    hip_edr_products: list[str] = msgspec.field(default_factory=list)  # our EDR, as HIP reports name the product
    hip_no_missing_patches_means_current: bool = False  # an empty list can also mean that nobody has looked yet

    signal_streams: tuple[SignalStream, ...] = ()  # [[signal_streams]]: security events of other houses (SSF)
    scim: dict[ScimCaller, ScimTenant] = msgspec.field(default_factory=dict)  # [scim.CALLER]: who may provision people
    cloudflare: CloudflareAccount | None = None  # [cloudflare]: the account whose Access asks us at each log-in
    ssf_transmitter: SsfTransmitter | None = None  # [ssf_transmitter]: security events to gateways and other houses
    console: ConsoleSettings | None = None  # [console]: pages for administrators and auditors at /console
    connectors: list[SourceSettings] = msgspec.field(default_factory=list)  # [[connectors]]: sources of people, posture

    @property
    def state_path(self) -> Path:
        return Path(self.state_dir)

    @property
    def decisions_path(self) -> Path:
        """The decision log of this host."""
        return self.state_path / "decisions"

    @property
    def decision_logs(self) -> list[Path]:
        """The logs that questions are asked of: this host's, and those of others as they are mounted here."""
        return [self.decisions_path, *map(Path, self.audit_other_logs)]

    @property
    def store_url(self) -> str:
        return self.database_url or f"sqlite:///{(self.state_path / 'sekisho.db').resolve()}"

    @property
    def base_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "https" if self.tls_cert_file else "http"
        return self.public_url or f"{scheme}://{host}:{self.port}"

    @property
    def bundle_path(self) -> Path:
        """The bundle's directory: the one that is set, the source tree's, or the installed package's."""
        if self.bundle:
            return Path(self.bundle)
        here = Path(__file__).resolve().parent
        packaged = here / "_policies"
        return packaged if packaged.is_dir() else here.parent / "policies"


DEFAULT_FILE: Final = Path("pdp.toml")
_PREFIX: Final = "PDP_"
# What Kubernetes puts into the environment of every pod beside a Service named `pdp`.
_SERVICE_LINK: Final = re.compile(r"PDP_(SERVICE_(HOST|PORT)\w*|PORT_\d+_\w+)")
# Given as JSON in the environment.
_JSON: Final = frozenset(
    {
        "acr_levels",
        "issuers",
        "bundle_keys",
        "policy_people",
        "foresight_protected_roles",
        "foresight_protected_departments",
        "envoy_return_origins",
        "caller_proxies",
        "caller_scopes",
        "connectors",
        "log_key_token",
        "log_targets",
        "log_masking",
        "audit_pseudonymise",
        "scim",
        "signal_streams",
        "cloudflare",
        "ssf_transmitter",
        "console",
        "posture_push_facts",
        "audit_other_logs",
        "audit_clickhouse",
        "audit_object_store",
        "audit_departments",
        "hip_edr_products",
    }
)
_NOT_SETTINGS: Final = frozenset({"PDP_CONFIG", "PDP_SETTINGS_JSON"})


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """The settings of this process. `overrides` that are None are not given.

    Raises SettingsError naming the file or the variable for an unknown name or an unusable value.
    """
    environ = os.environ if environ is None else environ
    chosen = file or (Path(environ["PDP_CONFIG"]) if "PDP_CONFIG" in environ else None)
    values: dict[str, Any] = _from_file(chosen or DEFAULT_FILE, required=chosen is not None)
    values.update(_from_environ(environ))
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        return msgspec.convert(values, Settings, strict=True)
    except msgspec.ValidationError as fault:
        raise SettingsError(str(fault)) from None


def origins(file: Path | None = None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Where each setting that is not a default comes from: a file's name or an environment variable.

    Raises SettingsError as `load_settings` does.
    """
    environ = os.environ if environ is None else environ
    chosen = file or (Path(environ["PDP_CONFIG"]) if "PDP_CONFIG" in environ else None)
    found = dict.fromkeys(_from_file(chosen or DEFAULT_FILE, required=chosen is not None), str(chosen or DEFAULT_FILE))
    return found | {name: f"{_PREFIX}{name.upper()}" for name in _from_environ(environ)}


def _from_file(path: Path, *, required: bool) -> dict[str, Any]:
    if not path.exists() and not required:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise SettingsError(f"`{path}`: {fault}") from None


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    found: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(_PREFIX) or variable in _NOT_SETTINGS or _SERVICE_LINK.fullmatch(variable):
            continue
        if variable == "PDP_PORT" and text.startswith("tcp://"):
            continue
        name = variable.removeprefix(_PREFIX).lower()
        if name not in known:
            raise SettingsError(f"`{variable}` is not a setting")
        try:
            value = msgspec.json.decode(text) if name in _JSON else text
            found[name] = msgspec.convert(value, known[name], strict=False)
        except (msgspec.ValidationError, msgspec.DecodeError) as fault:
            raise SettingsError(f"`{variable}`: {fault}") from None
    return found
