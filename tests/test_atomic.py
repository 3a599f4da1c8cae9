import errno

import pytest

from lotus.atomic import atomic_path, exclusively, hidden_folder


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


def test_errors_name_the_file_that_was_to_be_written(tmp_path):
    target = tmp_path / "labels.tif"
    with (
        pytest.raises(FileNotFoundError) as missing,
        atomic_path(target) as temporary,
        (temporary / "page").open("w"),
    ):
        pass
    assert missing.value.filename == str(target / "page")
    with pytest.raises(OSError, match=f"No space left on device: '{target}'$"):
        write_to_a_full_disk(target)

    def refuse():
        with atomic_path(target) as temporary:
            raise ValueError(f"{temporary} is too large", 3)

    with pytest.raises(ValueError, match="too large") as refused:
        refuse()
    assert refused.value.args == (f"{target} is too large", 3)


def test_an_encoder_that_says_no_more_than_that_it_failed(tmp_path):
    def write():
        with atomic_path(tmp_path / "a.png"):
            raise OSError("encoder error -2")

    with pytest.raises(OSError, match=r"cannot be written \(encoder error -2\): '.*/a\.png'$"):
        write()


def test_the_words_of_an_error_are_kept(tmp_path):
    def write():
        with hidden_folder(tmp_path) as hidden:
            raise FileNotFoundError(f"{hidden / 'images'}: found none; expected some")

    with pytest.raises(FileNotFoundError) as missing:
        write()
    assert str(missing.value) == f"{tmp_path / 'images'}: found none; expected some"


def write_to_a_full_disk(target):
    with atomic_path(target):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_errors_name_files_of_a_hidden_folder_where_they_were_to_go(tmp_path):
    def write():
        with hidden_folder(tmp_path, ".segment-") as hidden:
            assert hidden.parent == tmp_path
            assert hidden.name.startswith(".segment-")
            (hidden / "a").touch()
            write_to_a_full_disk(hidden / "labels.tif")

    with pytest.raises(OSError, match=f"No space left on device: '{tmp_path / 'labels.tif'}'$"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_what_was_moved_out_of_a_hidden_folder_stays(tmp_path):
    with hidden_folder(tmp_path) as hidden:
        (hidden / "a").touch()
        (hidden / "b").touch()
        (hidden / "a").rename(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_a_folder_is_had_by_one_at_a_time(tmp_path):
    hidden, output = tmp_path / ".hidden", tmp_path / "out.tif"
    with exclusively(hidden, output):
        with (
            pytest.raises(ValueError, match=r"^another process is writing .*out\.tif"),
            exclusively(hidden, output),
        ):
            pytest.fail("two have it")
        with exclusively(tmp_path / ".other", output):
            pass
    with pytest.raises(KeyError), exclusively(hidden, output):
        raise KeyError
    with exclusively(hidden, output):
        assert hidden.is_dir()
