"""Which predicted instance stands for which true one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from lotus.metrics.functional.contingency import ContingencyTable


def best_prediction_per_target(table: ContingencyTable) -> NDArray[np.intp]:
    """For each true instance that is overlapped, its pair of largest IoU.

    A predicted instance can be taken more than once. Of equal pairs the one whose prediction
    appears first in the image is taken.

    Returns:
        Positions in the pairs of the table, at most one per true instance.

    Example:
        >>> from lotus.metrics.functional import contingency_table
        >>> table = contingency_table([[1, 1, 1, 1]], [[1, 1, 1, 2]])
        >>> best_prediction_per_target(table).tolist()  # prediction 1 is taken twice
        [0, 1]
    """
    order = np.lexsort((table.pair_prediction, -table.iou, table.pair_target))
    first = np.unique(table.pair_target[order], return_index=True)[1]
    return np.asarray(order[first], dtype=np.intp)


def one_to_one_pairs(table: ContingencyTable, above: float = 0.0) -> NDArray[np.intp]:
    """One-to-one pairs with the largest total IoU (Hungarian method).

    Instances that share no pixel, directly or through others, cannot compete, so the assignment is
    solved in each group of competing instances by itself; a pair without competitors is taken as
    it is. Above an IoU of 0.5 no pair has a competitor.

    Args:
        table: Contingency table of the image.
        above: Only pairs with a larger IoU are candidates, in [0, 1).

    Returns:
        Positions in the pairs of the table; each instance is in one of them at most.

    Example:
        >>> from lotus.metrics.functional import contingency_table
        >>> table = contingency_table([[1, 1, 1, 1]], [[1, 1, 1, 2]])
        >>> pairs = one_to_one_pairs(table)
        >>> table.iou[pairs].tolist()
        [0.75]
    """
    pairs = np.flatnonzero(table.iou > above)
    rows, columns = table.pair_target[pairs], table.pair_prediction[pairs]
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)

    chosen = [pairs[alone]]
    contested, rows, columns = pairs[~alone], rows[~alone], columns[~alone]
    if contested.size:
        n_nodes = table.n_true + table.n_pred
        links = (np.ones(len(rows)), (rows, table.n_true + columns))
        _, group_of_node = connected_components(coo_array(links, shape=(n_nodes, n_nodes)))
        group = group_of_node[rows]
        order = np.argsort(group, kind="stable")
        borders = np.flatnonzero(np.diff(group[order])) + 1
        chosen += [
            members[_assign(rows[part], columns[part], table.iou[members])]
            for part in np.split(order, borders)
            for members in [contested[part]]
        ]
    return np.concatenate(chosen)


def _assign(
    rows: NDArray[np.intp], columns: NDArray[np.intp], iou: NDArray[np.float64]
) -> NDArray[np.integer[Any]]:
    """Solve one group of competing pairs; gives the positions of the chosen ones."""
    row_ids, row = np.unique(rows, return_inverse=True)
    column_ids, column = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    gain[row, column] = iou
    position = np.full(gain.shape, -1)
    position[row, column] = np.arange(len(iou))
    chosen = position[linear_sum_assignment(gain, maximize=True)]
    return chosen[chosen >= 0]
