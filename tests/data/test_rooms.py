import numpy as np
import pytest

from keras_c2kd.data.rooms import ROOM_CLASSES, furnish, photograph
from keras_c2kd.data.rooms.raycast import Box, Camera, Room, cast
from keras_c2kd.data.rooms.sensor import fill_holes
from keras_c2kd.data.rooms.surfaces import Surface

GREY = Surface((0.5, 0.5, 0.5), (0.3, 0.3, 0.3), "plain", 1.0)
LEVEL = Camera((2.0, 1.0, 1.5), 0.0, 0.0, np.radians(60.0))


def test_an_empty_room_is_as_deep_as_it_is():
    hits = cast(Room((4.0, 6.0, 3.0), (GREY,) * 6, ()), LEVEL, 31, 21)
    # The camera looks along +y from y = 1: the far wall is 5 m away, in every pixel
    # that sees it, since depth is measured along the axis.
    centre = hits.depth.reshape(21, 31)[10, 15]
    np.testing.assert_allclose(centre, 5.0, rtol=1e-5)
    assert (np.abs(hits.points[1][hits.depth > 4.999] - 6.0) < 1e-3).all()


def test_every_pixel_of_an_empty_room_has_its_analytic_depth():
    hits = cast(Room((4.0, 6.0, 3.0), (GREY,) * 6, ()), LEVEL, 31, 21)
    focal = 15.5 / np.tan(np.radians(30.0))
    across = np.abs(np.arange(31) - 15.0) / focal
    down = np.abs(np.arange(21) - 10.0)[:, None] / focal
    # The side walls are 2 m away, floor and ceiling 1.5 m, the far wall 5 m.
    with np.errstate(divide="ignore"):
        expected = np.minimum(np.minimum(2.0 / across, 1.5 / down), 5.0)
    np.testing.assert_allclose(hits.depth.reshape(21, 31), expected, rtol=1e-4)


def test_a_turned_and_tilted_camera_sees_the_walls_where_they_are():
    size = np.array([4.0, 6.0, 3.0])
    room = Room(tuple(size), (GREY,) * 6, ())
    camera = Camera((1.0, 2.0, 1.4), np.radians(40.0), np.radians(-20.0), 1.2)
    hits = cast(room, camera, 32, 24)
    inside = np.minimum(hits.points.T, size - hits.points.T)
    np.testing.assert_allclose(inside.min(axis=1), 0.0, atol=1e-4)
    # It turns to the left and looks down: the axis, from the angles by hand.
    axis = [
        -np.sin(np.radians(40.0)) * np.cos(np.radians(20.0)),
        np.cos(np.radians(40.0)) * np.cos(np.radians(20.0)),
        -np.sin(np.radians(20.0)),
    ]
    along = (hits.points.T - np.array(camera.position)) @ axis
    np.testing.assert_allclose(hits.depth, along, rtol=1e-4)


def test_holes_are_filled_with_the_nearest_reading():
    depth = np.array([[0, 500, 0, 0, 0, 900]], "uint16")
    filled = fill_holes(depth)
    np.testing.assert_array_equal(filled[0, [0, 1, 2, 4, 5]], [500, 500, 500, 900, 900])
    assert not fill_holes(np.zeros((2, 3), "uint16")).any()


def test_another_seed_is_another_room():
    one, two = (
        photograph(*furnish("office", np.random.default_rng(seed)), rng, 40, 30)
        for seed, rng in zip((0, 1), map(np.random.default_rng, (5, 5)), strict=True)
    )
    assert (one.rgb != two.rgb).any() and (one.depth != two.depth).any()


def test_a_box_hides_what_is_behind_it():
    box = Box((2.0, 4.0, 1.5), (0.5, 0.25, 0.5), 0.0, GREY)
    room = Room((4.0, 6.0, 3.0), (GREY,) * 6, (box,))
    hits = cast(room, LEVEL, 31, 21)
    depth, surface = hits.depth.reshape(21, 31), hits.surface.reshape(21, 31)
    np.testing.assert_allclose(depth[10, 15], 4.0 - 0.25 - 1.0, rtol=1e-5)
    assert surface[10, 15] == 6 and surface[10, 0] != 6
    # 1 m wide at 2.75 m, 31 pixels for 60 degrees: 9.8 pixels.
    assert abs((surface[10] == 6).sum() - 31 / (2 * np.tan(np.pi / 6)) / 2.75) <= 1


@pytest.mark.parametrize("name", ROOM_CLASSES)
def test_every_class_can_be_furnished_and_photographed(name):
    pictures = []
    for _ in range(2):
        rng = np.random.default_rng([3, ROOM_CLASSES.index(name)])
        room, camera = furnish(name, rng)
        pictures.append(photograph(room, camera, rng, 80, 60))
    one, two = pictures
    assert one.rgb.shape == (60, 80, 3) and one.rgb.dtype == "uint8"
    assert one.depth.shape == (60, 80) and one.depth.dtype == "uint16"
    assert one.depth.max() <= 8000 and (one.depth == 0).any()
    assert one.depth_filled.dtype == "uint16" and 0 < np.median(
        one.depth[one.depth > 0]
    )
    assert (one.depth_filled > 0).all()
    seen = one.depth > 0
    np.testing.assert_array_equal(one.depth[seen], one.depth_filled[seen])
    np.testing.assert_array_equal(one.rgb, two.rgb)
    np.testing.assert_array_equal(one.depth, two.depth)
    np.testing.assert_array_equal(one.depth_filled, two.depth_filled)
