"""The tables, as the newest migration leaves them (a test holds the two together), by subject.

Identifiers are those of the registers themselves. `key` names a row that has no id of its own: a permit
or loan by device, user and start, an emergency by its start. Foreign keys are checked at commit, so that
one import may bring rows in any order.
"""

from pdp.store.tables.audit import audit_queries
from pdp.store.tables.callers import (
    caller_bindings,
    caller_bounds,
    caller_key_bounds,
    caller_keys,
    caller_meta,
    callers,
)
from pdp.store.tables.console import console_sessions
from pdp.store.tables.cut_offs import address_cut_offs
from pdp.store.tables.directory import (
    device_aliases,
    devices,
    directory_changes,
    directory_meta,
    emergencies,
    import_runs,
    loans,
    permits,
    posts,
    posture_reports,
    resource_segments,
    resources,
    users,
    work_permit_devices,
    work_permit_resources,
    work_permit_users,
    work_permits,
)
from pdp.store.tables.ground import ID_LENGTH, KEY_LENGTH, metadata
from pdp.store.tables.policies import (
    policy_activations,
    policy_approvals,
    policy_exceptions,
    policy_gates,
    policy_history,
    policy_instances,
    policy_jobs,
    policy_meta,
    policy_results,
    policy_reviews,
    policy_revisions,
    policy_texts,
)
from pdp.store.tables.revocations import revocation_meta, revocations
from pdp.store.tables.scim import scim_groups, scim_members, scim_removals, scim_tenants, scim_users
from pdp.store.tables.signals import directory_holds, ssf_events, ssf_receptions
from pdp.store.tables.sources import source_runs, source_users, sources
from pdp.store.tables.ssf_sending import ssf_outbox, ssf_removed_subjects, ssf_sender, ssf_streams, ssf_told

__all__ = [
    "ID_LENGTH",
    "KEY_LENGTH",
    "address_cut_offs",
    "audit_queries",
    "caller_bindings",
    "caller_bounds",
    "caller_key_bounds",
    "caller_keys",
    "caller_meta",
    "callers",
    "console_sessions",
    "device_aliases",
    "devices",
    "directory_changes",
    "directory_holds",
    "directory_meta",
    "emergencies",
    "import_runs",
    "loans",
    "metadata",
    "permits",
    "policy_activations",
    "policy_approvals",
    "policy_exceptions",
    "policy_gates",
    "policy_history",
    "policy_instances",
    "policy_jobs",
    "policy_meta",
    "policy_results",
    "policy_reviews",
    "policy_revisions",
    "policy_texts",
    "posts",
    "posture_reports",
    "resource_segments",
    "resources",
    "revocation_meta",
    "revocations",
    "scim_groups",
    "scim_members",
    "scim_removals",
    "scim_tenants",
    "scim_users",
    "source_runs",
    "source_users",
    "sources",
    "ssf_events",
    "ssf_outbox",
    "ssf_receptions",
    "ssf_removed_subjects",
    "ssf_sender",
    "ssf_streams",
    "ssf_told",
    "users",
    "work_permit_devices",
    "work_permit_resources",
    "work_permit_users",
    "work_permits",
]
