"""What Envoy is started with: one listener, a cluster for each variant and one for events.

Routes come from a file beside it, see :mod:`slate.rollout.traffic.envoy.routes`. Variants keep their
addresses whether or not a server is there: where none is, requests fail at once and are counted.
"""

from collections.abc import Mapping
from typing import Any, Final

from slate.rollout.traffic.envoy.routes import EVENTS, NAME, SHADOW, STABLE
from slate.rollout.traffic.envoy.template import Template

_TYPES: Final = "type.googleapis.com/envoy.extensions"
_MANAGER: Final = f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
_UPSTREAM: Final = f"{_TYPES}.upstreams.http.v3.HttpProtocolOptions"
_MONITOR: Final = f"{_TYPES}.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
_MUTATION: Final = f"{_TYPES}.http.early_header_mutation.header_mutation.v3.HeaderMutation"

#: What a shadow may hold of the gateway: a hung one takes no more than this away from anybody.
_SHADOW_MOST: Final = 32
#: Connections of all clients together; what comes above is refused.
_CLIENTS_MOST: Final = 10_000
#: How often times are summed up over threads; later ones come with the next block.
_FLUSH: Final = "0.2s"


def bootstrap(
    template: Template, folder: str, routes: str, port: int, admin_port: int, servers: Mapping[str, int]
) -> dict[str, Any]:
    """The whole configuration; it listens on the loopback alone.

    Args:
        folder: watched for a new file of routes that is moved there.
        routes: the path of that file.
        servers: by variant, and ``events``, the port that is asked.
    """
    return {
        "node": {"id": NAME, "cluster": NAME},
        "admin": {"address": _address(admin_port)},
        "stats_flush_interval": _FLUSH,
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {"@type": _MONITOR, "max_active_downstream_connections": _CLIENTS_MOST},
                }
            ]
        },
        "static_resources": {
            "listeners": [_listener(template, folder, routes, port)],
            "clusters": [_cluster(name, server, template) for name, server in servers.items()],
        },
    }


def _listener(template: Template, folder: str, routes: str, port: int) -> dict[str, Any]:
    source = {
        "path_config_source": {"path": routes, "watched_directory": {"path": folder}},
        "resource_api_version": "V3",
    }
    removed = [{"remove": name} for name in template.removed]
    manager = {
        "@type": _MANAGER,
        "stat_prefix": NAME,
        "rds": {"route_config_name": NAME, "config_source": source},
        # The client is who connects: it can neither name itself nor its request.
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": template.merge_slashes,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "request_timeout": f"{template.received_s}s",
        "early_header_mutation_extensions": [
            {
                "name": "removed",
                "typed_config": {"@type": _MUTATION, "mutations": removed},
            }
        ],
        "http_filters": [
            _filter("lua", "lua.v3.Lua", default_source_code={"inline_string": template.script}),
            _filter("router", "router.v3.Router"),
        ],
    }
    return {
        "name": NAME,
        "address": _address(port),
        "per_connection_buffer_limit_bytes": template.buffer,
        "filter_chains": [{"filters": [{"name": "manager", "typed_config": manager}]}],
    }


def _filter(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    typed = {"@type": f"{_TYPES}.filters.http.{kind}", **settings}
    return {"name": f"envoy.filters.http.{name}", "typed_config": typed}


def _cluster(name: str, port: int, template: Template) -> dict[str, Any]:
    limits = {
        "max_connections": template.connections,
        "max_pending_requests": template.waiting,
        "max_requests": template.requests,
        "max_retries": template.retries,
    }
    if name == SHADOW:
        limits = {kind: min(most, _SHADOW_MOST) for kind, most in limits.items()}
    options = {
        "@type": _UPSTREAM,
        "common_http_protocol_options": {"idle_timeout": f"{template.idle_s}s"},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    endpoint = {"endpoint": {"address": _address(port)}}
    ejection = template.ejection
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": f"{template.connect_s}s",
        "per_connection_buffer_limit_bytes": template.buffer,
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "circuit_breakers": {"thresholds": [limits]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
        "outlier_detection": {
            "interval": f"{ejection.interval_s}s",
            "consecutive_5xx": ejection.failures,
            "enforcing_success_rate": 0,
            "base_ejection_time": f"{ejection.seconds}s",
            "max_ejection_percent": ejection.percent,
            # Here a variant is one server. Stable's only one is asked whatever it answers: nobody else can.
            "always_eject_one_host": True,
        },
        "common_lb_config": {"healthy_panic_threshold": {"value": 50 if name in (STABLE, EVENTS) else 0}},
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}
