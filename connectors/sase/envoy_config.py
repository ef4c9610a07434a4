"""The Envoy around the rules: one reading of every path, a verified token, one ALLOW filter, routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.sase.envoy_mapping import Mapped

ROUTED: Final = frozenset({"action.name"})  # facts that the request's own line says, not the token
LISTENER: Final = "rules"
# Attack: the rules judge the request's own line, and many frameworks let a header say another method, path or host than
# that one. None of these reaches an application; what Envoy itself knows of the client it adds afterwards.
STRIPPED_PREFIXES: Final = ("x-sekisho-", "x-forwarded-", "x-envoy-", "x-original-", "x-rewrite-", "x-http-method")
STRIPPED: Final = (
    "x-method-override", "x-http-path-override", "x-override-url", "x-real-url", "x-host", "x-http-host-override",
    "x-url-scheme", "x-accel-redirect", "x-sendfile", "forwarded", "front-end-https", "x-real-ip", "x-client-ip",
    "true-client-ip", "proxy",
)  # fmt: skip
_TYPES: Final = "type.googleapis.com/envoy.extensions."


def bootstrap(mapped: Mapped, policies: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration; `envoy -c` takes it as it is."""
    upstreams = sorted({route.upstream for route in mapped.resources.values()})
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": LISTENER,
                    "address": _address(mapped.listen),
                    "filter_chains": [{"filters": [_manager(mapped, policies)]}],
                }
            ],
            "clusters": [_cluster(upstream) for upstream in upstreams],
        }
    }


def _manager(mapped: Mapped, policies: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": _TYPES + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": LISTENER,
            "codec_type": "AUTO",
            "use_remote_address": True,
            # One reading of a path for the rules and for the application: `/mail/../hr` is `/hr` for both.
            "normalize_path": True,
            "merge_slashes": True,
            "path_with_escaped_slashes_action": "REJECT_REQUEST",
            "strip_any_host_port": True,
            "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
            "request_headers_timeout": "10s",
            "early_header_mutation_extensions": [
                {
                    "name": "envoy.http.early_header_mutation.header_mutation",
                    "typed_config": {
                        "@type": _TYPES + "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                        "mutations": [
                            *({"remove_on_match": {"key_matcher": {"prefix": one}}} for one in STRIPPED_PREFIXES),
                            *({"remove": one} for one in STRIPPED),
                        ],
                    },
                }
            ],
            "route_config": {"name": LISTENER, "virtual_hosts": _hosts(mapped)},
            "http_filters": [_token(mapped), _rules(policies), _router()],
        },
    }


def _hosts(mapped: Mapped) -> list[dict[str, Any]]:
    hosts: dict[str, list[tuple[str, str]]] = {}
    for route in mapped.resources.values():
        hosts.setdefault(route.host, []).append((route.prefix, route.upstream))
    return [
        {
            "name": host,
            "domains": [host],
            "routes": [
                {"match": {"prefix": prefix}, "route": {"cluster": upstream}} for prefix, upstream in sorted(routes)
            ],
        }
        for host, routes in sorted(hosts.items())
    ]


def _token(mapped: Mapped) -> dict[str, Any]:
    return {
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": _TYPES + "filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {
                "issuer": {
                    "issuer": mapped.issuer,
                    "audiences": list(mapped.audiences),
                    "local_jwks": {"filename": mapped.jwks_file},
                    "require_expiration": True,
                    "clock_skew_seconds": mapped.clock_skew_seconds,
                    "forward": False,
                    "payload_in_metadata": "sekisho",
                }
            },
            "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
        },
    }


def _rules(policies: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": _TYPES + "filters.http.rbac.v3.RBAC",
            "rules": {"action": "ALLOW", "policies": dict(policies)},
        },
    }


def _router() -> dict[str, Any]:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {"@type": _TYPES + "filters.http.router.v3.Router"},
    }


def _cluster(upstream: str) -> dict[str, Any]:
    return {
        "name": upstream,
        "type": "STRICT_DNS",
        "connect_timeout": "5s",
        "load_assignment": {
            "cluster_name": upstream,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(upstream)}}]}],
        },
    }


def _address(text: str) -> dict[str, Any]:
    host, _, port = text.rpartition(":")
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
