"""What is known of an object too large to be measured is what its measurement would say."""

import io

import numpy as np
import pandas as pd
import pytest

from lotus.inference.object_rows import ObjectRows
from lotus.morphometry.objects import object_table
from lotus.windows import PartialObject


@pytest.mark.parametrize("spacing_um", [None, (0.5, 2.0)])
def test_a_large_object_is_where_it_would_be_measured(spacing_um):
    labels = np.zeros((12, 15), np.int32)
    labels[2:9, 3:7] = labels[7:9, 7:13] = 4
    rows, columns = np.nonzero(labels)
    sums = np.array([rows.size, rows.sum(), columns.sum(), 0.75 * rows.size])
    stream = io.StringIO()
    ObjectRows(stream, ["lacuna"], spacing_um).write_large({4: PartialObject((2, 3, 9, 13), sums)})
    stream.seek(0)
    (written,) = pd.read_csv(stream).to_dict("records")
    (measured,) = object_table(labels, spacing_um=spacing_um).to_dict("records")
    known = {name: value for name, value in written.items() if not pd.isna(value)}
    assert known.pop("mean_probability") == 0.75
    assert known == pytest.approx({name: measured[name] for name in known}, rel=1e-5)
    assert {"centroid_y_px", "x_max_px", "area_px"} < known.keys()
    assert ("centroid_x_um" in known) == (spacing_um is not None)
