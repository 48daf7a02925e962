"""The results as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_FIRST = "---"


def markdown(results: Mapping[str, Any]) -> str:
    """A page: where it was measured, what was aimed at, then each measurement."""
    parts = ["# Serving, measured", _about(results), "## Targets", _targets(results)]
    for name, world in results.get("worlds", {}).items():
        parts += [f"## {name}: {world['items']:,} items", *_world(world)]
    if "noop" in results:
        parts += ["## Requests that compute nothing (requests/s)", _noop(results["noop"])]
    if "swaps" in results:
        parts += ["## Releases swapped under load", _pairs(results["swaps"])]
    if "faults" in results:
        parts += ["## Four stages, six kinds of trouble", _faults(results["faults"])]
    if results["skipped"]:
        rows = [(name, _line(why)) for name, why in results["skipped"].items()]
        parts += ["## Not measured", _table(("what", "why"), rows)]
    return "\n\n".join(parts) + "\n"


def _about(results: Mapping[str, Any]) -> str:
    facts = results["facts"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(facts["versions"].items()))
    return (
        f"Made by `{facts['command']}` on {facts['date']}, revision {facts['revision']}, in "
        f"{facts['seconds']:.0f} s. {facts['processor']}, {facts['cores']} cores, load {facts['load']:.2f} "
        f"before; servers on core {facts['server_core']}, generator on core {facts['generator_core']}; "
        f"deadline {facts['deadline_ms']:.0f} ms. {versions}.\n\n"
        "Rates are requests a second, times milliseconds from the *planned* instant of a request. Goodput "
        "counts full answers within the deadline. Saturation is the highest offered rate at which 95% are "
        "such answers and no backlog is left. Medians of interleaved rounds."
    )


def _targets(results: Mapping[str, Any]) -> str:
    rows = [
        (
            each["name"],
            f"{'≤' if each['most'] else '≥'} {each['bound']:g}",
            f"{each['value']:g}",
            "yes" if each["met"] else "**no**",
        )
        for each in results["targets"]
    ]
    return _table(("target", "wanted", "measured", "met"), rows)


def _world(world: Mapping[str, Any]) -> Iterable[str]:
    if "starts" in world:
        yield _servers(world)
    if "latency" in world:
        for kind, title in (("shared", "80% of stock KServe's saturation"), ("fixed", "a fixed rate")):
            if kind in world["latency"]:
                told = world["latency"][kind]
                yield f"### At {title}, {told['rate']:g} requests/s"
                yield _by_server(
                    {**told["servers"], "*the stages alone*": told["alone"]},
                    ("goodput", "p50", "p90", "p99", "p999", "failed", "lateness_p99"),
                )
    if "overload" in world:
        yield "### Overload"
        keys = ("multiple", "offered", "goodput", "of_peak", "p99", "refused_p99", "failed", "recovery_s")
        yield _table(keys, [[_text(step[key]) for key in keys] for step in world["overload"]])
    if "bare" in world:
        yield "### The four stages without a server, by batch size"
        yield _by_server(world["bare"], tuple(next(iter(world["bare"].values()))), "batch")


def _servers(world: Mapping[str, Any]) -> str:
    rows = []
    for name, start in world["starts"].items():
        found = world.get("capacity", {}).get(name, {})
        rows.append(
            [
                name,
                _text(found.get("saturation")),
                _text(found.get("peak_goodput")),
                _text(start["ready_s"]),
                _text(start["first_ms"]),
                _text(start["memory_mib"]),
            ]
        )
    heads = ("server", "saturation", "peak goodput", "ready after s", "first request ms", "memory MiB")
    return _table(heads, rows)


def _noop(noop: Mapping[str, Any]) -> str:
    rows = [
        (name.removeprefix("connections_"), *(_text(v) for v in list(each.values())[:3]))
        for name, each in noop.items()
    ]
    return _table(("connections", *list(next(iter(noop.values())))[:3]), rows)


def _faults(faults: Mapping[str, Any]) -> str:
    rows = [
        (cell["stage"], cell["trouble"], _text(cell["worst_ms"]), " ".join(cell["rungs"]))
        for cell in faults["cells"]
    ]
    return f"Deadline {faults['deadline_ms']:g} ms, worst answer {faults['worst_ms']:g} ms.\n\n" + _table(
        ("stage", "trouble", "worst ms", "rungs"), rows
    )


def _by_server(servers: Mapping[str, Mapping[str, Any]], keys: Sequence[str], head: str = "server") -> str:
    rows = [(name, *(_text(told[key]) for key in keys)) for name, told in servers.items()]
    return _table((head, *keys), rows)


def _pairs(values: Mapping[str, Any]) -> str:
    return _table(("figure", "value"), [(name, _text(value)) for name, value in values.items()])


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, [_FIRST] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return (
        f"{value:,.4g}"
        if isinstance(value, float) and abs(value) < 1000
        else (f"{value:,.0f}" if isinstance(value, float) else str(value))
    )


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")[:500]
