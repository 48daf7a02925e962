"""The driver that the configuration names."""

from slate.config import GatewayConfig
from slate.rollout.traffic.driver import Driver
from slate.storage import ObjectStore


def open_driver(config: GatewayConfig, store: ObjectStore) -> Driver:
    """What tells the gateway of this configuration who meets which variant.

    Args:
        store: where the gateway's figures are kept.

    Raises:
        ConfigError: the configuration lacks what this driver needs.
        GatewayError: there is no such gateway.
    """
    if config.driver == "kubernetes":
        from slate.rollout.traffic.kubernetes.driver import KubernetesDriver

        return KubernetesDriver.connect(config, store)
    from slate.rollout.traffic.envoy.driver import EnvoyDriver

    return EnvoyDriver(config, store)
