import errno

import pytest

from lotus.atomic import atomic_path


def test_file_appears_under_its_name_only(tmp_path):
    target = tmp_path / "new" / "folder" / "scores.csv"
    with atomic_path(target) as temporary:
        assert temporary.parent == target.parent
        temporary.write_text("a,b\n")
        assert not target.exists()
    assert target.read_text() == "a,b\n"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["a.ome.tif", "Sample 1.5 um.tif", "noending"])
def test_temporary_name_keeps_the_suffixes(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        assert temporary.name.endswith(name)
        assert temporary.suffixes[-2:] == (tmp_path / name).suffixes[-2:]
        temporary.touch()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), ValueError()]
)
def test_error_leaves_nothing_and_keeps_an_older_file(tmp_path, error):
    target = tmp_path / "labels.tif"
    target.write_bytes(b"older")

    def write_half():
        with atomic_path(target) as temporary:
            temporary.write_bytes(b"half of the ne")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert list(tmp_path.iterdir()) == [target]
    assert target.read_bytes() == b"older"


def test_two_writers_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with atomic_path(target) as first, atomic_path(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_folder_is_no_target(tmp_path):
    with pytest.raises(ValueError, match="is a folder"), atomic_path(tmp_path):
        pass
