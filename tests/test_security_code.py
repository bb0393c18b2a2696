"""No code of ours runs what a file says: pickles, unsafe YAML, shells, unguarded archives."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ["simulation", "datasets", "models", "evaluation", "flows"]

# Modules whose reading functions run code from the file.
FORBIDDEN_IMPORTS = {"pickle5", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "os.system",
    "os.popen",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.load_all",
    "yaml.unsafe_load_all",
    "pandas.read_pickle",
    "pd.read_pickle",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "xml.etree.ElementTree.parse",
}
# What a call must say to be allowed, by the last words of its name.
REQUIRED_KEYWORDS = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "numpy.load": ("allow_pickle", False),
    "extractall": ("filter", "data"),
}


def dotted(node: ast.expr) -> str:
    """Name of what is called, as far as it is one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def keyword(call: ast.Call, name: str) -> object:
    values = [k.value for k in call.keywords if k.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def dangers(source: str) -> list[str]:
    """What a source text does that could run a file's code."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            imported = {name.partition(".")[0] for name in (*names, module)}
            found += [f"imports {name}" for name in sorted(imported & FORBIDDEN_IMPORTS)]
            # Under their own names, so that the calls below are seen.
            if module in ("pickle", "yaml", "os", "subprocess", "torch.serialization"):
                found += [f"from {module} import {n}" for n in names if n in _RENAMED]
        if not isinstance(node, ast.Call):
            continue
        name = dotted(node.func)
        if name in FORBIDDEN_CALLS:
            found.append(name)
        if keyword(node, "shell") is True:
            found.append(f"{name} with shell=True")
        for ending, (option, value) in REQUIRED_KEYWORDS.items():
            if name == ending or name.endswith(f".{ending}"):
                if keyword(node, option) != value:
                    found.append(f"{name} without {option}={value}")
        if name.endswith(".extract") and keyword(node, "filter") != "data":
            found.append(f"{name} without filter=data")
        if name == "yaml.load" and not _loads_safely(node):
            found.append("yaml.load without a safe loader")
    return found


_RENAMED = {"load", "loads", "Unpickler", "system", "popen", "unsafe_load", "full_load"}


def _loads_safely(call: ast.Call) -> bool:
    loaders = [dotted(k.value) for k in call.keywords if k.arg == "Loader"]
    return loaders in (["_UniqueKeyLoader"], ["yaml.SafeLoader"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_runs_what_a_file_says(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    found = {
        str(path.relative_to(ROOT)): dangers(path.read_text(encoding="utf-8")) for path in files
    }
    assert {path: what for path, what in found.items() if what} == {}


@pytest.mark.parametrize(
    "source",
    [
        "eval(text)",
        "pickle.load(file)",
        "from pickle import load",
        "import joblib",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.unsafe_load(text)",
        "subprocess.run(text, shell=True)",
        "archive.extractall(folder)",
        "archive.extract(name, folder)",
        "os.system(text)",
    ],
)
def test_the_test_sees_what_is_dangerous(source):
    assert dangers(source)


def test_the_safe_loader_of_studies_is_one():
    import yaml

    from spinforge.flows.study_file import _UniqueKeyLoader

    assert issubclass(_UniqueKeyLoader, yaml.SafeLoader)
    for kind in ("python/object/apply:os.system", "python/name:os.system", "python/module:os"):
        tag = f"tag:yaml.org,2002:{kind}"
        assert tag not in _UniqueKeyLoader.yaml_constructors
    assert not _UniqueKeyLoader.yaml_multi_constructors
