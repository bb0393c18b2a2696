"""The import rules of ARCHITECTURE.md, as a test."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ["simulation", "datasets", "models", "evaluation", "flows"]
ORCHESTRATION = {"prefect", "mlflow"}


def imported_modules(path: Path) -> set[str]:
    """Absolute dotted names of everything `path` imports, at any depth."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources(layer: str) -> list[Path]:
    return sorted((ROOT / layer).rglob("*.py"))


@pytest.mark.parametrize("layer", ORDER)
def test_layer_imports_only_earlier_layers(layer):
    later = {f"spinforge.{name}" for name in ORDER[ORDER.index(layer) + 1 :]}
    assert sources(layer)
    for path in sources(layer):
        used = {".".join(name.split(".")[:2]) for name in imported_modules(path)}
        assert not used & later, path


@pytest.mark.parametrize("layer", ORDER[:-1])
def test_only_flows_know_the_orchestration(layer):
    for path in sources(layer):
        used = {name.split(".")[0] for name in imported_modules(path)}
        assert not used & ORCHESTRATION, path


def test_top_folders_are_no_regular_packages():
    assert not [layer for layer in ORDER if (ROOT / layer / "__init__.py").exists()]


@pytest.mark.parametrize("layer", ORDER)
def test_package_links_to_the_top_folder(layer):
    link = ROOT / "src" / "spinforge" / layer
    assert link.is_symlink()
    assert link.resolve() == ROOT / layer


@pytest.mark.parametrize("layer", ORDER)
def test_files_stay_readable(layer):
    for path in sources(layer):
        assert len(path.read_text().splitlines()) <= 400, path
