from pathlib import Path

import pytest

from lotus.imaging.file_names import SLIDE_SUFFIXES, image_stem, images_in


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.png", "a"),
        ("a.ome.tif", "a"),
        ("x.OME.TIFF", "x"),
        ("x.Ome.Tif", "x"),
        ("Zoe\u0308.tif", "Zo\u00eb"),
        ("a.b.TIFF", "a.b"),
        ("v1.2.tif", "v1.2"),
        ("slide.svs", "slide"),
        ("a.ome.png", "a.ome"),
        ("some.ome", "some"),
        ("none", "none"),
    ],
)
def test_stem_is_the_name_without_the_suffix_of_an_image(name, stem):
    assert image_stem(Path("folder.tif") / name) == stem


def test_images_of_a_folder_are_those_that_are_called_so(tmp_path):
    names = ["b.JPG", "a.ome.tif", "slide.svs", ".hidden.tif", "notes.txt", "c.png.part"]
    for name in names:
        (tmp_path / name).touch()
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "d.tif").touch()
    assert [path.name for path in images_in(tmp_path)] == ["a.ome.tif", "b.JPG"]
    slides = [path.name for path in images_in(tmp_path, SLIDE_SUFFIXES)]
    assert slides == ["a.ome.tif", "b.JPG", "slide.svs"]
    assert images_in(tmp_path / "missing") == []
