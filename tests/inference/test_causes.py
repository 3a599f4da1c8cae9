"""One cause is said once, with the names of all images that it holds for."""

from pathlib import Path

from lotus.inference.causes import Causes


def test_lines_that_differ_in_the_name_of_the_image_are_of_one_cause():
    causes = Causes()
    images = [Path(f"/in/{name}.tif") for name in "abc"]
    assert [causes.add(image, f"{image} has 4 channels") for image in images] == [
        True,
        False,
        False,
    ]
    assert causes.add(images[1], "b.tif is coarse")
    assert causes.count() == 4
    first = "/in/a.tif has 4 channels (so it is with b.tif, c.tif)"
    assert causes.summary() == [first, "b.tif is coarse"]
    assert causes.summary(least=2) == [first]


def test_of_many_names_the_first_are_given():
    causes = Causes()
    for number in range(14):
        causes.add(Path(f"{number}.tif"), f"{number}.tif is constant")
    (line,) = causes.summary()
    assert line.startswith("0.tif is constant (so it is with 1.tif, 2.tif, ")
    assert line.endswith(", 10.tif and 3 more)")
