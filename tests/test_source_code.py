"""Fingerprints of source code: what counts as a change of code, and what does not."""

import importlib.machinery
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from avrobust.utils import source_code as module
from avrobust.utils.source_code import NOT_FOUND, source_code

FILES = {
    "lab/__init__.py": "from .fusion import Mine as Exported\n",
    "lab/fusion.py": (
        "from lab.deep import helper\nfrom .sizes import *\nimport math, numpy\n"
        "class Mine:\n    def forward(self, x):\n        return helper.twice(x)\n"
        "def make(rank):\n    from . import late\n    return late\n"
    ),
    "lab/sizes.py": "WIDTH = 4\n",
    "lab/late.py": "X = 1\n",
    "lab/deep/__init__.py": "",
    "lab/deep/helper.py": "from .. import base\ndef twice(x):\n    return 2 * x\n",
    "lab/base.py": "B = 1\n",
    "lab/unrelated.py": "U = 1\n",
    "flat.py": "import tools\nclass Flat: pass\n",
    "tools.py": "T = 1\n",
    "space/inner/part.py": "class Part: pass\n",
}
FUSION = FILES["lab/fusion.py"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project on Python's path."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    assert not {"lab", "flat", "tools", "space"} & set(sys.modules), "something was imported"


def fingerprint(target: str) -> str:
    """As a new process computes it."""
    for cached in (module._source_code, module._find, module._content):
        cached.cache_clear()
    importlib.invalidate_caches()
    return source_code(target).fingerprint


SAME = {
    "a comment": FUSION + "# one more\n",
    "formatting": FUSION.replace("2 * x", "2  *  (x)").replace("(self, x)", "(self,\n  x,\n )"),
    "a docstring": FUSION.replace("x):\n        r", 'x):\n        """Twice."""\n        r'),
    "docstring alone": '"""Of the module."""\n' + FUSION,
}
OTHER = {
    "a number": FUSION.replace("twice(x)", "twice(x) * 0"),
    "a default": FUSION.replace("make(rank)", "make(rank=1)"),
    "a type": FUSION + "Y = 1\n",
    "a string": FUSION + "Y = '1'\n",
}


@pytest.mark.parametrize("kind", [*SAME, *OTHER])
def test_code_counts_and_its_comments_do_not(project: Path, kind: str) -> None:
    before = fingerprint("lab.fusion.Mine")
    (project / "lab/fusion.py").write_text((SAME | OTHER)[kind])
    assert (fingerprint("lab.fusion.Mine") == before) == (kind in SAME)


def test_other_values_of_equal_text_are_told_apart(project: Path) -> None:
    texts = ("Y = 1\n", "Y = '1'\n", "Y = True\n", "Y = 1.0\n", "Y = b'1'\n", "Y = -1\n")
    seen = set()
    for text in texts:
        (project / "lab/sizes.py").write_text(text)
        seen.add(fingerprint("lab.fusion.Mine"))
    assert len(seen) == len(texts)


@pytest.mark.parametrize(
    ("target", "file", "counts"),
    [
        ("lab.fusion.Mine", "lab/sizes.py", True),  # imported by a star
        ("lab.fusion.Mine", "lab/deep/helper.py", True),
        ("lab.fusion.Mine", "lab/base.py", True),  # of a helper, two dots up
        ("lab.fusion.Mine", "lab/deep/__init__.py", True),
        ("lab.fusion.Mine", "lab/__init__.py", True),
        ("lab.fusion.make", "lab/late.py", True),  # within a function
        ("lab.Exported", "lab/fusion.py", True),
        ("lab.Exported", "lab/base.py", True),
        ("lab.fusion.Mine", "lab/unrelated.py", False),
        ("flat.Flat", "tools.py", True),  # a module beside it, in no package
        ("flat.Flat", "lab/base.py", False),
        ("space.inner.part.Part", "space/inner/part.py", True),  # folders without __init__.py
    ],
)
def test_what_the_module_imports_of_its_project_counts(
    project: Path, target: str, file: str, counts: bool
) -> None:
    before = fingerprint(target)
    assert before != NOT_FOUND
    (project / file).write_text(FILES[file] + "\nMORE = 1\n")
    assert (fingerprint(target) != before) == counts


def test_the_fingerprint_is_the_same_wherever_the_project_lies(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint("lab.Exported")
    elsewhere = tmp_path / "deeper" / "still"
    elsewhere.mkdir(parents=True)
    (project / "lab").rename(elsewhere / "lab")
    assert fingerprint("lab.Exported") == NOT_FOUND
    monkeypatch.syspath_prepend(elsewhere)
    assert fingerprint("lab.Exported") == before


def test_code_without_python_text(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled module counts by its bytes; one in an archive is not found."""
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    library = project / f"compiled{suffix}"
    library.write_bytes(b"\x7fELF one")
    before = fingerprint("compiled.Mine")
    library.write_bytes(b"\x7fELF two")
    assert NOT_FOUND != fingerprint("compiled.Mine") != before
    archive = project / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("packed.py", "class Mine: pass\n")
    monkeypatch.syspath_prepend(archive)
    for target in ("packed.Mine", "nowhere.Mine", "nowhere", "sys.path", ""):
        assert fingerprint(target) == NOT_FOUND, target


@pytest.mark.parametrize("text", ["def (:\n", "x = " + "(" * 5000, "x = '\0'", "a" + "+a" * 20000])
def test_code_that_cannot_be_parsed_counts_by_its_bytes(project: Path, text: str) -> None:
    (project / "flat.py").write_text(text)
    before = fingerprint("flat.Flat")
    (project / "flat.py").write_text(text + "#")
    assert fingerprint("flat.Flat") != before != NOT_FOUND


def test_circular_imports_end(project: Path) -> None:
    (project / "lab/base.py").write_text("from lab import fusion\nimport lab.base\n")
    assert fingerprint("lab.Exported") != NOT_FOUND


def test_the_first_look_of_a_process_stays(project: Path) -> None:
    """A file that is edited later is not what this process has imported."""
    before = fingerprint("lab.Exported")
    (project / "lab/base.py").write_text("B = 2\n")
    assert source_code("lab.Exported").fingerprint == before
    assert fingerprint("lab.Exported") != before


def test_a_module_edited_after_its_import_equals_nothing(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprint("tools.T")
    monkeypatch.setitem(sys.modules, "tools", sys)
    assert fingerprint("tools.T") not in (before, fingerprint("tools.T"))
    monkeypatch.setattr(module, "STARTED", 1e12)
    assert fingerprint("tools.T") == before
    monkeypatch.delitem(sys.modules, "tools")


def test_of_this_package_the_modules_of_one_folder_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in other folders has revisions."""
    looked_at: list[str] = []
    read = module._content.__wrapped__

    def noted(file: Path, name: str) -> object:
        looked_at.append(name)
        return read(file, name)

    monkeypatch.setattr(module, "_content", noted)
    module._source_code.cache_clear()
    code = source_code("avrobust.attacks.pgd.PGD")
    assert code.ours
    assert {"avrobust.attacks.pgd", "avrobust.attacks.base"} <= set(looked_at)
    assert all(name.startswith("avrobust.attacks") for name in looked_at)
    module._source_code.cache_clear()
