"""What has to lie in the gateway's folder before Envoy starts, and how it is started."""

import json
import shutil
from pathlib import Path

from slate.rollout.traffic.driver import Split
from slate.rollout.traffic.envoy.bootstrap import bootstrap
from slate.rollout.traffic.envoy.files import BOOTSTRAP, ROUTES, Places, replace, write_places
from slate.rollout.traffic.envoy.program import envoy_program
from slate.rollout.traffic.envoy.routes import routes_file
from slate.rollout.traffic.envoy.template import read_template


def prepare(folder: Path, places: Places) -> list[str]:
    """Write the gateway's files; returns the command that starts it.

    Everybody meets stable at first, whatever was told before: a rollout's controller tells it anew.

    Raises:
        ConfigError: Envoy is not installed, or its settings cannot be read.
        GatewayError: the folder cannot be written.
    """
    program, template = envoy_program(), read_template()
    folder = folder.absolute()
    shutil.rmtree(folder / ".new", ignore_errors=True)
    routes = folder / ROUTES
    replace(routes, routes_file(Split(), template))
    settings = bootstrap(template, str(folder), str(routes), places.gateway, places.admin, places.servers)
    replace(folder / BOOTSTRAP, json.dumps(settings, indent=1) + "\n")
    write_places(folder, places)
    options = ["--disable-hot-restart", "--concurrency", "2", "--log-level", "warning"]
    return [str(program), "-c", str(folder / BOOTSTRAP), *options]
