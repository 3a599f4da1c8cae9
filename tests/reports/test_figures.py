import pytest

from lotus.reports.figures import in_lines


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("class_0.1_from_teacher", ["class_0.1_", "from_teacher"]),
        ("Student from the teacher", ["Student from", "the teacher"]),
        ("leave-one-pair-out", ["leave-one-", "pair-out"]),
        ("from_teacher", ["from_teacher"]),
        ("Noncontiguousness", ["Noncontiguousness"]),
        ("a_b c", ["a_b c"]),
    ],
)
def test_names_are_broken_between_words(name, lines):
    assert in_lines(name, 12).split("\n") == lines
