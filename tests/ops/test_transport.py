import numpy as np
import pytest
import scipy.optimize
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops
from scipy.spatial.distance import cdist

from keras_c2kd.ops import euclidean_distances, sinkhorn
from tests.helpers import gradients

costs = arrays("float32", (4, 5), elements=st.floats(0, 2, width=16))


def plan_of(*args, **kwargs):
    return ops.convert_to_numpy(sinkhorn(*args, **kwargs))


def slow_plan(cost, epsilon, row_mass, column_mass, iterations=20000):
    """Cuturi's scaling of exp(-cost / epsilon), in float64."""
    kernel = np.exp(-np.float64(cost) / epsilon)
    columns = np.ones(kernel.shape[1])
    for _ in range(iterations):
        rows = row_mass / (kernel @ columns)
        columns = column_mass / (kernel.T @ rows)
    return rows[:, None] * kernel * columns


@pytest.mark.parametrize("epsilon", [0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_slow_scaling(rng, epsilon, weighted):
    cost = rng.uniform(size=(5, 7)).astype("float32")
    masses = [np.full(n, 1 / n) for n in cost.shape]
    given = {}
    if weighted:
        masses = [m / m.sum() * 0.7 for m in (rng.uniform(size=n) for n in cost.shape)]
        given = dict(zip(("row_mass", "column_mass"), masses, strict=True))
    ours = plan_of(cost, epsilon, iterations=300, **given)
    np.testing.assert_allclose(ours, slow_plan(cost, epsilon, *masses), atol=1e-5)


@settings(max_examples=10)
@given(costs)
def test_masses_are_those_asked_for(cost):
    plan = plan_of(cost, 1.0)
    assert (plan >= 0).all()
    np.testing.assert_allclose(plan.sum(0), 1 / 5, rtol=1e-5)
    np.testing.assert_allclose(plan.sum(1), 1 / 4, rtol=1e-3)


@settings(max_examples=10)
@given(costs, st.permutations(range(4)))
def test_order_of_the_rows_does_not_matter(cost, order):
    np.testing.assert_allclose(plan_of(cost[order]), plan_of(cost)[order], atol=1e-5)


def test_little_entropy_gives_the_best_assignment(rng):
    cost = rng.uniform(size=(6, 6)).astype("float32")
    _, best = scipy.optimize.linear_sum_assignment(cost)
    plan = plan_of(cost, epsilon=0.002, iterations=2000)
    np.testing.assert_allclose(plan, np.eye(6)[best] / 6, atol=1e-3)


def test_much_entropy_gives_independence(rng):
    cost = rng.uniform(size=(3, 4)).astype("float32")
    np.testing.assert_allclose(plan_of(cost, epsilon=1e4), 1 / 12, rtol=1e-3)


def test_rows_and_columns_without_mass_are_not_there(rng):
    cost = rng.uniform(size=(5, 6)).astype("float32")
    rows, columns = np.array([0, 1, 1, 0, 1]) / 3, np.array([1, 1, 0, 1, 1, 0]) / 4
    plan = plan_of(cost, 0.5, row_mass=rows, column_mass=columns)
    there = np.ix_(rows > 0, columns > 0)
    np.testing.assert_allclose(plan[there], plan_of(cost[there], 0.5), atol=1e-6)
    assert plan.sum() == pytest.approx(1.0, abs=1e-5)


def test_no_mass_at_all_moves_nothing():
    nothing = np.zeros(3)
    plan = plan_of(np.eye(3), row_mass=nothing, column_mass=nothing)
    np.testing.assert_array_equal(plan, 0.0)


def test_costs_far_above_epsilon_stay_finite(rng):
    cost = rng.uniform(1e3, 1e5, size=(4, 4)).astype("float32")
    plan = plan_of(cost)
    assert np.isfinite(plan).all()
    np.testing.assert_allclose(plan.sum(0), 0.25, rtol=1e-2)


def test_the_plan_is_the_gradient_of_the_regularised_minimum(rng):
    """Envelope theorem: against differences of the minimum itself, in float64."""
    cost, epsilon = rng.uniform(size=(3, 4)), 0.5
    masses = np.full(3, 1 / 3), np.full(4, 1 / 4)

    def minimum(c):
        plan = slow_plan(c, epsilon, *masses, iterations=500)
        return (plan * c).sum() + epsilon * (plan * np.log(plan)).sum()

    steps = 1e-5 * np.eye(12).reshape(12, 3, 4)
    differences = [(minimum(cost + e) - minimum(cost - e)) / 2e-5 for e in steps]
    cost = cost.astype("float32")
    (ours,) = gradients(lambda c: ops.sum(sinkhorn(c, epsilon) * c), [cost])
    np.testing.assert_allclose(ours.ravel(), differences, atol=1e-4)


def test_distances_are_scipys(rng):
    x, y = rng.normal(size=(4, 6)), rng.normal(size=(5, 6))
    ours = ops.convert_to_numpy(euclidean_distances(x, y))
    np.testing.assert_allclose(ours, cdist(x, y), rtol=1e-5)


def test_points_that_coincide_have_no_gradient(rng):
    x = rng.normal(size=(2, 3)).astype("float32")
    y = x.copy()
    y[1] += [3.0, 0.0, 4.0]
    (gradient,) = gradients(
        lambda z: ops.sum(ops.diagonal(euclidean_distances(z, y))), [x]
    )
    np.testing.assert_allclose(gradient, [[0, 0, 0], [-0.6, 0, -0.8]], atol=1e-5)
