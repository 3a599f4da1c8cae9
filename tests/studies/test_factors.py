"""Grids of methods whose scores are tested and drawn."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lotus.runs import RunFolder
from lotus.studies.factors import write_factors
from lotus.studies.stages import Training


def grid():
    return {
        f"{network} {slices}": Training(
            f"{network} {slices}", levels={"network": network, "slices": slices}
        )
        for network in ("unet", "sensor3d")
        for slices in (10, 20, 70)
    }


def write_images(folder, methods):
    rng = np.random.default_rng(0)
    rows = [
        {"name": name, "patient": "", "method": method, "dice": rng.random(), "loss": rng.random()}
        for method in [*methods, "3-D U-Net"]
        for name in ("a", "b")
    ]
    folder.path.mkdir()
    table = pd.DataFrame(rows)
    table.to_csv(folder.compared_images, index=False)
    return table


def test_the_means_of_a_grid_are_tested_and_drawn(tmp_path):
    folder, methods = RunFolder(tmp_path / "run"), grid()
    table = write_images(folder, methods)
    found = write_factors(folder, {**methods, "3-D U-Net": Training("3-D U-Net")})
    pd.testing.assert_frame_equal(pd.read_csv(folder.factors(".csv")), found, rtol=1e-9)
    assert set(found["score"]) == {"dice", "loss"}
    (row,) = found.query("factor == 'network' and score == 'dice'").to_dict("records")
    means = table.groupby("method")["dice"].mean()
    differences = [means[f"sensor3d {n}"] - means[f"unet {n}"] for n in (10, 20, 70)]
    assert row["effect"] == pytest.approx(np.mean(differences))
    assert row["n"] == 3
    with Image.open(folder.factors(".png")) as picture:
        assert picture.width > picture.height > 100


def test_without_a_grid_nothing_is_written(tmp_path):
    folder = RunFolder(tmp_path / "run")
    write_images(folder, [])
    assert write_factors(folder, {"3-D U-Net": Training("3-D U-Net")}) is None
    assert not folder.factors(".csv").exists()


def test_methods_of_unlike_factors_are_no_grid(tmp_path):
    folder = RunFolder(tmp_path / "run")
    other = Training("x", levels={"batch": 32})
    with pytest.raises(ValueError, match="unet 10 differs in network, slices, and x in batch"):
        write_factors(folder, {**grid(), "x": other})
