"""What a digest of code covers: a package is written, changed, and looked at again."""

import importlib
import sys
from pathlib import Path

import pytest

from data_modules.source_code import source_digest

FILES = {
    "__init__": "",
    "start": "from own.called import double\nimport numpy\n",
    "called": "def double(x):\n    from own import deep\n    from .sibling import ONE\n",
    "deep": "import own.called\n",  # a circle
    "sibling": "ONE = 1\n",
    "unrelated": "TWO = 2\n",
}


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """Function from changed files to the digest of the package's module ``start``."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own").mkdir()

    def of(**changes):
        for name in [name for name in sys.modules if name.partition(".")[0] == "own"]:
            del sys.modules[name]
        for name, text in (FILES | changes).items():
            (tmp_path / "own" / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return source_digest([importlib.import_module("own.start")])

    yield of
    for name in [name for name in sys.modules if name.partition(".")[0] == "own"]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["start", "called", "deep", "sibling"])
def test_a_change_of_what_is_called_at_any_depth_is_seen(digest, name):
    assert digest() == digest()
    assert digest() != digest(**{name: f"{FILES[name]}# changed\n"})


def test_a_change_of_what_is_not_called_is_not(digest):
    assert digest() == digest(unrelated="TWO = 3\n")


def test_the_project_counts_whoever_calls_it(digest):
    """A preprocessing of a user's own calls functions of this project."""
    calling = {"start": "from lotus.masks import fill_voids\n"}
    alone = {"start": "from scipy.ndimage import binary_fill_holes\n"}
    read = []
    read_text = Path.read_text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Path,
            "read_text",
            lambda path, **options: read.append(path) or read_text(path, **options),
        )
        for files, expected in ((alone, False), (calling, True)):
            digest(**files)
            assert any(path.name == "morphology.py" for path in read) == expected
