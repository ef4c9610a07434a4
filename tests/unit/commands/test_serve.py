from __future__ import annotations

import msgspec
import pytest
from typer.main import get_command

from pdp.settings import Settings
from tests.unit.commands.conftest import told

# Tables, files of keys, and rare switches of one gateway, source or Redis, which stand in pdp.toml.
ONLY_IN_THE_FILE = {
    "acr_levels",
    "audit_archive_dir",
    "audit_archive_months",
    "audit_clickhouse",
    "audit_departments",
    "audit_hot_months",
    "audit_keep_segments_days",
    "audit_memory_mb",
    "audit_object_store",
    "audit_other_logs",
    "audit_pseudonym_file",
    "audit_pseudonymise",
    "audit_questions",
    "audit_questions_per_caller",
    "audit_threads",
    "audit_unshipped_days",
    "bundle_keys",
    "bundle_signing_key_file",
    "caller_certificate_header",
    "caller_proxies",
    "caller_scopes",
    "cloudflare",
    "connectors",
    "console",
    "demo_valkey",
    "envoy_return_origins",
    "envoy_strict_path",
    "export_mappings",
    "foresight_losing_device_share",
    "foresight_losing_share",
    "foresight_protected_departments",
    "foresight_protected_roles",
    "foresight_stale_share",
    "git_allowed_signers_file",
    "grpc_cert_file",
    "grpc_client_ca_file",
    "grpc_host",
    "grpc_key_file",
    "grpc_port",
    "hip_definitions_age_days",
    "hip_edr_products",
    "hip_no_missing_patches_means_current",
    "hip_utc_offset_minutes",
    "issuers",
    "log_anchor_ca_file",
    "log_anchor_tsa_file",
    "log_anchors",
    "log_checkpoint_s",
    "log_key_file",
    "log_key_token",
    "log_masking",
    "log_origin",
    "log_previous_key_file",
    "log_proof",
    "log_pseudonym_key_file",
    "log_spill_dir",
    "log_targets",
    "policy_invariants_file",
    "policy_lease_end",
    "policy_lease_s",
    "policy_people",
    "policy_poll_s",
    "policy_warn_max_days",
    "posture_push_facts",
    "redis_ca_file",
    "redis_cert_file",
    "redis_deadline_ms",
    "redis_key_file",
    "redis_password_file",
    "redis_prefix",
    "redis_secret_file",
    "redis_username",
    "scim",
    "shadow_bundle",
    "shadow_per_s",
    "signal_streams",
    "ssf_transmitter",
    "tls_cert_file",
    "tls_client_ca_file",
    "tls_client_certificate",
    "tls_client_crl",
    "decision_table",
    "dpop_nonce_s",
    "dpop_nonce_secret_file",
    "tls_key_file",
}


def test_every_setting_is_an_option_of_the_service():
    from pdp.cli import app

    options = {parameter.name for parameter in get_command(app).commands["serve"].params}
    fields = {field.name for field in msgspec.structs.fields(Settings)}
    assert fields - options == ONLY_IN_THE_FILE
    assert options - fields == {"config"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--port", "70000"], "port"),
        (["--workers", "0"], "workers"),
        (["--engine-deadline-ms", "0"], "engine_deadline_ms"),
    ],
)
def test_a_setting_out_of_its_bounds_is_named_and_nothing_starts(pdp, arguments, named):
    result = pdp("serve", *arguments)
    assert result.exit_code == 2
    assert named in told(result)[0]


def test_an_option_that_is_no_choice_is_a_usage_error(pdp):
    assert pdp("serve", "--durability", "maybe").exit_code == 2
