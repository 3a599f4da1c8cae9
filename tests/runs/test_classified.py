"""Tables of classified patches: written, read, and what is refused."""

import pandas as pd
import pytest

from lotus.runs.classified import groups_of, read_classified, write_classified


def patches(**columns):
    table = {
        "name": ["s1@0,0", "s1@0,55", "007"],
        "slice": ["s1", "s1", "NA"],
        "patient": ["1", "1", "02"],
        "group": ["sick", "sick", "healthy"],
        "predicted": ["sick", "healthy", "healthy"],
        "p_sick": [0.75, 0.25, 1 / 3],
        "p_healthy": [0.25, 0.75, 2 / 3],
    }
    return pd.DataFrame({**table, **columns})


def test_a_table_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "classified.csv"
    write_classified(patches(), path)
    found = read_classified(path)
    assert list(found) == list(patches())
    assert groups_of(found) == ["sick", "healthy"], "in the order of the labels"
    assert found["patient"].tolist() == ["1", "1", "02"]
    assert found["slice"].tolist() == ["s1", "s1", "NA"]
    assert found["p_healthy"].tolist() == pytest.approx([0.25, 0.75, 2 / 3])


def test_a_patch_may_be_classified_once_by_every_seed(tmp_path):
    path = tmp_path / "classified.csv"
    both = pd.concat([patches(seed=1), patches(seed=2)])
    write_classified(both, path)
    assert read_classified(path)["seed"].tolist() == [1, 1, 1, 2, 2, 2]
    with pytest.raises(ValueError, match="patch s1@0,0 is there twice"):
        write_classified(pd.concat([both, patches(seed=2)]), path)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (patches().drop(columns="slice"), "no column 'slice' of classified patches; found name, p"),
        (patches().drop(columns="p_sick"), "found 3 patches and probabilities of 1 groups"),
        (patches().iloc[:0], "found 0 patches"),
        (patches(name=["a", "b", "a"]), "patch a is there twice"),
        (patches(group=["sick", "healthy", "healthy"]), "patient 1 is in healthy and in sick"),
        (patches(predicted=["sick", "ill", "sick"]), "predicted is 'ill', expected one of sick, h"),
        (patches(p_sick=[0.5, 1.5, 0.5]), "patch s1@0,55 has a probability that is not in"),
        (patches(p_sick=[0.5, 0.5, float("nan")]), "patch 007 has a probability that is not in"),
    ],
)
def test_what_is_no_such_table_is_refused(table, message, tmp_path):
    path = tmp_path / "classified.csv"
    with pytest.raises(ValueError, match=message):
        write_classified(table, path)
    assert not path.exists()
    table.to_csv(path, index=False, na_rep="nan")
    with pytest.raises(ValueError, match=message):
        read_classified(path)


def test_a_file_that_was_cut_off(tmp_path):
    path = tmp_path / "classified.csv"
    with pytest.raises(FileNotFoundError, match=r"has no classified\.csv: run `lotus test`"):
        read_classified(path)
    write_classified(patches(), path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="was cut off in its last row"):
        read_classified(path)
