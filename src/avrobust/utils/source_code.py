"""Fingerprints of source code, computed from files alone: nothing is imported.

Comments, docstrings and formatting do not count. A fingerprint is that of the first look in a
process, which comes before the code is imported. So the fingerprint in a result is never newer than
the code that made the result, even if the file is edited while the process runs.
"""

import ast
import hashlib
import site
import sys
import sysconfig
import time
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

NOT_FOUND = "not found"
LENGTH = 16  # characters of a fingerprint
# Of modules behind one fingerprint: the nearest ones to the target. Bounds the time for a library.
MOST_MODULES = 300
OURS = "avrobust"
STARTED = time.time()


class SourceCode(NamedTuple):
    """The code behind an import path."""

    file: str  # of the module; empty if it was not found
    fingerprint: str  # NOT_FOUND if there is no file, as in a zip archive
    ours: bool  # whether it belongs to avrobust


class _Module(NamedTuple):
    name: str
    file: Path | None  # None for a namespace package
    folders: tuple[str, ...]  # where its submodules are; none if it is no package


class _Import(NamedTuple):
    level: int  # of dots in front
    module: str
    names: tuple[str, ...]


class _Content(NamedTuple):
    fingerprint: str
    imports: tuple[_Import, ...]


def source_code(target: str) -> SourceCode:
    """The code behind the import path of a class or function.

    It is the target's module, and every module that this one imports, directly or not, and that
    belongs to the same project: to the same top-level package, or to the same folder of a project
    that is not installed. Of avrobust itself it is what belongs to the same folder, such as
    `avrobust.attacks`: what lies below has revisions.
    """
    return _source_code(target, tuple(sys.path))


@cache
def _source_code(target: str, path: tuple[str, ...]) -> SourceCode:
    ours = target.partition(".")[0] == OURS
    module = _module_of(target, path)
    if module is None or module.file is None:
        return SourceCode("", NOT_FOUND, ours)
    project = _Project(module)
    digest = hashlib.sha256()
    for name, content in sorted(project.contents(path).items()):
        digest.update(f"{name} {content}\n".encode())
    return SourceCode(str(module.file), digest.hexdigest()[:LENGTH], ours)


class _Project:
    """The modules that belong to the project of one module.

    Args:
        start: a module that has a file.
    """

    def __init__(self, start: _Module) -> None:
        self.start = start.name
        parts = start.name.split(".")
        self.package = ".".join(parts[:2]) if parts[0] == OURS else parts[0]
        # Modules side by side in a folder on the path are one project, unless it is a library's.
        folder = _place_on_path(start)
        self.folder = None if parts[0] == OURS or folder in _library_folders() else folder

    def holds(self, module: _Module) -> bool:
        """Whether a module is to be looked at."""
        if f"{module.name}.".startswith(f"{self.package}."):
            return True
        return self.folder is not None and _place_on_path(module) == self.folder

    def contents(self, path: tuple[str, ...]) -> dict[str, str]:
        """The fingerprint of each module by its name, the nearest modules first."""
        contents: dict[str, str] = {}
        seen: set[str] = set()
        todo = deque(_with_parents(self.start))
        while todo and len(contents) < MOST_MODULES:
            name = todo.popleft()
            if name in seen:
                continue
            seen.add(name)
            module = _find(name, path)
            if module is None or not self.holds(module):
                continue
            if module.file is not None:
                content = _content(module.file, name)
                contents[name] = content.fingerprint
                for imported in content.imports:
                    todo += _imported(module, imported)
        return contents


def _place_on_path(module: _Module) -> Path | None:
    """The folder on Python's path that a module was found in; None for a namespace package."""
    if module.file is None:
        return None
    depth = len(module.name.split(".")) + (1 if module.folders else 0)
    return module.file.parents[depth - 1]


@cache
def _library_folders() -> frozenset[Path]:
    """The folders of installed packages and of the standard library."""
    names = ("purelib", "platlib", "stdlib", "platstdlib")
    folders = [*(sysconfig.get_path(name) for name in names), site.getusersitepackages()]
    return frozenset(Path(folder).resolve() for folder in folders)


def _with_parents(name: str) -> Iterator[str]:
    """A module and the packages that are imported before it: "a.b" gives "a" and "a.b"."""
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])


def _imported(module: _Module, statement: _Import) -> list[str]:
    """The modules that an import statement may import, with their parents."""
    base = statement.module
    if statement.level:
        package = module.name.split(".")
        # One dot is the package itself, which a module has to leave first.
        up = statement.level - (1 if module.folders else 0)
        package = package[: len(package) - up]
        base = ".".join([*package, *([base] if base else [])])
    names = list(_with_parents(base)) if base else []
    for name in statement.names:  # a submodule, or something within the module
        names.append(f"{base}.{name}")
    return names


def _module_of(target: str, path: tuple[str, ...]) -> _Module | None:
    """The longest beginning of an import path that is a module."""
    module = None
    for name in _with_parents(target):
        found = _find(name, path)
        if found is None:
            break
        module = found
    return module


@cache
def _find(name: str, path: tuple[str, ...]) -> _Module | None:
    """The file of a module, found as an import would find it, parents not imported."""
    parent, _, tail = name.rpartition(".")
    folders: list[str] | None = None
    if parent:
        package = _find(parent, path)
        if package is None or not package.folders:
            return None
        folders = list(package.folders)
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(name, folders)
        except (AttributeError, KeyError, ImportError, ValueError):
            continue  # a namespace package within another one wants the latter imported
        # A module within an archive has a location that is no file.
        if spec is not None and spec.origin and Path(spec.origin).is_file():
            inside = tuple(spec.submodule_search_locations or ())
            return _Module(name, Path(spec.origin).resolve(), inside)
    places = [Path(place or ".") / tail for place in (folders or path)]
    inside = tuple(str(place) for place in places if place.is_dir())
    return _Module(name, None, inside) if inside else None


@cache
def _content(file: Path, name: str) -> _Content:
    """What counts of one file, and its import statements."""
    try:
        code = file.read_bytes()
        changed = file.stat().st_mtime
    except OSError:
        return _Content(NOT_FOUND, ())
    imports: list[_Import] = []
    text: list[str] = []
    try:
        if file.suffix != ".py":
            raise ValueError("compiled")
        _normalize(ast.parse(code), text, imports)
        code = "\n".join(text).encode("utf-8", "backslashreplace")
    except (SyntaxError, ValueError, RecursionError):
        imports = []  # the bytes as they are
    if changed > STARTED and name in sys.modules:
        # Edited since this process imported it: nobody can tell any more which code runs here.
        code += str(time.time_ns()).encode()
    return _Content(hashlib.sha256(code).hexdigest()[:LENGTH], tuple(imports))


def _normalize(node: ast.AST, text: list[str], imports: list[_Import]) -> None:
    """Writes a syntax tree as text that is the same for every version of Python."""
    if isinstance(node, ast.Import):
        imports += [_Import(0, alias.name, ()) for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = tuple(alias.name for alias in node.names)
        imports.append(_Import(node.level, node.module or "", names))
    text.append(f"({type(node).__name__}")
    for field in node._fields:
        value = getattr(node, field, None)
        if value is None or value == [] or field in ("ctx", "kind"):
            continue  # newer versions of Python have fields that are empty in older code
        text.append(field)
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, ast.AST):
                text.append(repr(item))
            elif not _is_docstring(item):
                _normalize(item, text, imports)
    text.append(")")


def _is_docstring(node: ast.AST) -> bool:
    """Whether a node is a string that stands alone, which does nothing."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)
