import numpy as np
import pytest

from lotus.imaging import open_volume, write_image
from lotus.imaging.slice_series import check_series, series_among


def write_slices(folder, *names, size=(4, 5)):
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        write_image(folder / name, np.full(size, number, np.uint8), spacing_um=(0.5, 0.25))


def test_slices_are_a_volume_in_the_order_of_their_numbers(tmp_path):
    write_slices(tmp_path / "a", "s_10.tif", "s_8.tif", "s_9.tif")
    with open_volume(tmp_path / "a") as volume:
        assert volume.shape == (3, 4, 5)
        assert volume.spacing_um == pytest.approx((None, 0.5, 0.25))
        assert [plane[0, 0] for plane in volume.planes] == [1, 2, 0]


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["s_0001.tif", "s_0002.tif", "s_0003.tif", "s_0005.tif"], ["s_0004.tif"]),
        (
            ["s8.ome.tif", "s9.ome.tif", "s10.ome.tif", "s13.ome.tif"],
            ["s11.ome.tif", "s12.ome.tif"],
        ),
        (["010.tif", "020.tif", "030.tif", "050.tif"], ["040.tif"]),
        (["1.tif", "2.tif", "3.tif"], []),
        (["1_a.tif", "2_a.tif", "3_a.tif", "5_a.tif"], ["4_a.tif"]),
        (["1.tif", "7.tif"], []),
    ],
)
def test_missing_numbers_are_named(tmp_path, names, missing):
    (series,) = series_among([tmp_path / name for name in names])
    assert [file.name for file in series.files] == names
    assert list(series.missing) == missing


def test_files_that_differ_in_more_than_a_number_are_series_of_their_own(tmp_path):
    names = ["P1_1.tif", "P1_2.tif", "P2_1.tif", "alone.tif"]
    found = series_among([tmp_path / name for name in names])
    expected = [["P1_1.tif", "P1_2.tif"], ["P2_1.tif"], ["alone.tif"]]
    assert [[file.name for file in series.files] for series in found] == expected


def test_a_gap_and_another_size_are_refused(tmp_path):
    write_slices(tmp_path / "a", "1.tif", "2.tif", "4.tif", "5.tif")
    with pytest.raises(FileNotFoundError, match=r"found no 3\.tif between 1\.tif and 5\.tif"):
        check_series(tmp_path / "a")
    write_slices(tmp_path / "a", "3.tif", size=(4, 6))
    with pytest.raises(ValueError, match=r"3\.tif has 4 x 6 pixels, and 1\.tif 4 x 5"):
        check_series(tmp_path / "a")
    with (
        open_volume(tmp_path / "a") as volume,
        pytest.raises(ValueError, match=r"3\.tif has 4 x 6"),
    ):
        list(volume.planes)
    (tmp_path / "void").mkdir()
    with pytest.raises(FileNotFoundError, match="void holds no image"):
        check_series(tmp_path / "void")


def test_a_folder_of_volumes_is_no_volume(tmp_path):
    import tifffile

    (tmp_path / "a").mkdir()
    tifffile.imwrite(tmp_path / "a/1.tif", np.zeros((3, 4, 5), np.float32))
    with pytest.raises(ValueError, match="volume itself"), open_volume(tmp_path / "a"):
        pass
