import numpy as np
import pytest

from keras_c2kd.data.rooms import ROOM_CLASSES, furnish, photograph
from keras_c2kd.data.rooms.raycast import Box, Camera, Room, cast
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
    assert (one.depth_filled > 0).all()
    seen = one.depth > 0
    np.testing.assert_array_equal(one.depth[seen], one.depth_filled[seen])
    np.testing.assert_array_equal(one.rgb, two.rgb)
    np.testing.assert_array_equal(one.depth, two.depth)
