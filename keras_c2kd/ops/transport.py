"""Optimal transport between two sets of points, by Sinkhorn's iterations."""

from typing import Any

from keras import ops

# The logarithm of no mass at all. Finite, so that differences are no NaN.
_NOTHING = -1e30


def sinkhorn(
    cost: Any,
    epsilon: float = 0.1,
    iterations: int = 100,
    row_mass: Any = None,
    column_mass: Any = None,
) -> Any:
    """The entropic optimal transport plan: who goes to whom, at the least cost.

    It compares two distributions by samples that are not paired: which sample goes with
    which is what it finds.

        plan = argmin_P <P, cost> + epsilon sum_ij P_ij log P_ij
               where P >= 0, P 1 = row_mass, 1' P = column_mass

    The plan is a constant to the gradient. By the envelope theorem that is no
    approximation: the gradient of the minimum with respect to the cost is the plan, and
    so is that of `<plan, cost>` with the plan held fixed.

    All is done with logarithms in float32, so that a cost of many times `epsilon` does
    not underflow.

    Args:
        cost: Shape `(N, M)`.
        epsilon: How much the plan is spread out, in units of the cost, above 0.
        iterations: Updates of both sides. The columns are updated last: their sums are
            exact, those of the rows as exact as the iterations made them.
        row_mass: Shape `(N,)`, at least 0; default `1 / N` each. A row of mass 0 takes
            no part.
        column_mass: Shape `(M,)`, with the total of `row_mass`; default `1 / M` each.

    Returns:
        The plan, float32, shape `(N, M)`.

    Example:

    >>> from keras_c2kd.ops import sinkhorn
    >>> plan = sinkhorn([[0.0, 1.0], [1.0, 0.0]])
    >>> [round(float(value), 4) for value in plan[0]]
    [0.5, 0.0]

    Reference:
        M. Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport",
        NIPS 2013. epsilon 0.1 is the default of T. K. Tran et al. (UCMKD), ICML 2026,
        arXiv 2606.10504, section 3.1, 100 iterations that of their released code.
    """
    kernel = -ops.stop_gradient(ops.cast(cost, "float32")) / epsilon
    log_rows = _log_mass(row_mass, kernel[:, 0])
    log_columns = _log_mass(column_mass, kernel[0])

    def update(_, potentials):
        columns = potentials[1]
        rows = log_rows - ops.logsumexp(kernel + columns[None, :], axis=1)
        columns = log_columns - ops.logsumexp(kernel + rows[:, None], axis=0)
        return rows, columns

    start = ops.zeros_like(log_rows), ops.zeros_like(log_columns)
    rows, columns = ops.fori_loop(0, iterations, update, start)
    return ops.stop_gradient(ops.exp(kernel + rows[:, None] + columns[None, :]))


def _log_mass(mass, like):
    if mass is None:
        mass = ops.ones_like(like) / ops.cast(ops.size(like), "float32")
    mass = ops.stop_gradient(ops.cast(mass, "float32"))
    there = mass > 0
    return ops.where(there, ops.log(ops.where(there, mass, 1.0)), _NOTHING)


def euclidean_distances(x: Any, y: Any) -> Any:
    """Distances between all points of two sets, the usual cost of transport.

        cost_ij = ||x_i - y_j||_2

    The differences are taken first, which costs memory of `N M D` numbers where the
    compiler does not fuse them, and loses no digits where points are close.

    Args:
        x: Shape `(N, D)`.
        y: Shape `(M, D)`.

    Returns:
        float32, shape `(N, M)`; where two points coincide, the gradient is 0.

    Example:

    >>> from keras_c2kd.ops import euclidean_distances
    >>> float(euclidean_distances([[0.0, 0.0]], [[3.0, 4.0]])[0, 0])
    5.0
    """
    x, y = (ops.cast(points, "float32") for points in (x, y))
    square = ops.sum(ops.square(x[:, None, :] - y[None, :, :]), axis=-1)
    apart = square > 0
    # Two `where`s: the gradient of a root at 0 is not finite, also where not chosen.
    return ops.where(apart, ops.sqrt(ops.where(apart, square, 1.0)), 0.0)
