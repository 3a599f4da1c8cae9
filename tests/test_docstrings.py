"""Docstrings: arguments stand in one place, and descriptions begin in one way."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):\n((?:(?: .*)?\n)+)", re.MULTILINE)
# `name: text` and `name, other: text`; the lines that go on with a text stand further in.
ENTRY = re.compile(r"^    (?! )(?:\*{0,2}[\w., ]+?: +)(\S+)", re.MULTILINE)
# A capital letter, a digit, a sign (a backtick, a bracket, a Greek letter or dash), or code: a
# word with a digit, a dot, a bracket or an underscore inside, or a type.
BEGINNING = re.compile(r"[^a-z]|\w*[\d_]|\w+[.(\[]\w|(bool|int|float|str)\b")


@cache
def docstrings() -> list[tuple[str, str, str]]:
    """Where, the name of the documented thing, and its docstring."""
    files = [
        path for room in ("lotus", "data_modules") for path in (REPOSITORY / room).rglob("*.py")
    ]
    assert len(files) > 100
    found = []
    for path in sorted(files):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = getattr(node, "name", "")
                where = f"{path.relative_to(REPOSITORY)}:{getattr(node, 'lineno', 1)} {name}"
                if docstring := ast.get_docstring(node):
                    found.append((where, name, docstring + "\n"))
    return found


def descriptions(docstring: str) -> Iterator[str]:
    """The first word of every description in the sections of a docstring."""
    for section, text in SECTION.findall(docstring):
        if section in ("Returns", "Yields"):
            yield text.split()[0]
        else:
            yield from ENTRY.findall(text)


def test_the_first_words_of_descriptions_are_found() -> None:
    docstring = """Do it.

Args:
    one: Of the first
        line: nothing else.
    *others: many

Returns:
    float32 (Y, X).

Raises:
    KeyError, ValueError: bad.
"""
    found = list(descriptions(docstring))
    assert found == ["Of", "many", "float32", "bad."]
    assert [word for word in found if not BEGINNING.match(word)] == ["many", "bad."]


def test_arguments_of_a_class_stand_in_its_own_docstring() -> None:
    wrong = [where for where, name, text in docstrings() if name == "__init__" and "Args:" in text]
    assert not wrong


def test_descriptions_begin_with_a_capital_letter_or_code() -> None:
    wrong = [
        f"{where}: {word}"
        for where, _, text in docstrings()
        for word in descriptions(text)
        if not BEGINNING.match(word)
    ]
    assert not wrong


def test_a_description_says_something() -> None:
    assert not [where for where, _, text in docstrings() if "See the class." in text]
