"""A component is a shell: imports inside, one call of the library, no decisions."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import components
from components.image import PLACEHOLDER

FOLDER = Path(components.__file__).parent
NAMES = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem not in ("__init__", "image"))
CACHED = (
    "ingest",
    "collect",
    "validate",
    "split",
    "open_parent",
    "split_since",
    "train_on_workers",
    "train_two_tower",
    "update_two_tower",
    "build_index",
    "train_ranker",
    "update_ranker",
    "evaluate",
)
ALLOWED_AT_THE_TOP = {"typing", "kfp", "components.image"}


def function_of(name: str) -> ast.FunctionDef:
    (function,) = (n for n in tree_of(name).body if isinstance(n, ast.FunctionDef))
    return function


def tree_of(name: str) -> ast.Module:
    return ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))


def test_there_is_one_for_every_step_of_the_pipelines() -> None:
    from pipelines.compile import PIPELINES, load
    from pipelines.local import step_names

    assert set(NAMES) == {step for name in PIPELINES for step in step_names(load(name))}


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_the_library_is_imported_outside_the_function(name: str) -> None:
    imported = {
        node.module if isinstance(node, ast.ImportFrom) else alias.name
        for node in tree_of(name).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= ALLOWED_AT_THE_TOP


@pytest.mark.parametrize("name", NAMES)
def test_exactly_one_call_goes_to_the_library_and_nothing_branches(name: str) -> None:
    function = function_of(name)
    taken = [
        (node.module, alias.asname or alias.name)
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("slate")
        for alias in node.names
    ]
    assert taken == [(f"slate.steps.{name}", name)]
    calls = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    ]
    assert len(calls) == 1
    forbidden = (ast.If, ast.IfExp, ast.For, ast.While, ast.Try, ast.Match, ast.comprehension, ast.Lambda)
    assert not [node for node in ast.walk(function) if isinstance(node, forbidden)]


@pytest.mark.parametrize("name", NAMES)
def test_the_call_fits_the_signature_of_the_step(name: str) -> None:
    step = getattr(importlib.import_module(f"slate.steps.{name}"), name)
    (call,) = (
        node
        for node in ast.walk(function_of(name))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
    )
    keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    assert inspect.signature(step).bind(*call.args, **keywords).arguments


@pytest.mark.parametrize("name", NAMES)
def test_the_image_is_the_placeholder_and_kfp_comes_with_it(name: str) -> None:
    component = getattr(importlib.import_module(f"components.{name}"), name)
    container = component.component_spec.implementation.container
    assert container.image == PLACEHOLDER
    assert "pip install" not in " ".join(container.command)


@pytest.mark.parametrize("name", CACHED)
def test_cached_steps_take_the_code_fingerprint(name: str) -> None:
    component = getattr(importlib.import_module(f"components.{name}"), name)
    assert "code_fingerprint" in component.component_spec.inputs


@pytest.mark.parametrize("name", NAMES)
def test_every_artefact_declared_is_written_somewhere(name: str) -> None:
    # A cached result whose artefact is not on disk is never found again by kfp.local.
    source = ast.unparse(function_of(name))
    for parameter in function_of(name).args.args:
        if parameter.annotation and "dsl.Output" in ast.unparse(parameter.annotation):
            assert f"{parameter.arg}.path" in source, parameter.arg
