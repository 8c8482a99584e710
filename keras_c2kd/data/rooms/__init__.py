"""Furnished rooms made of boxes, and the two cameras that look at them."""

from keras_c2kd.data.rooms.layouts import ROOM_CLASSES, furnish
from keras_c2kd.data.rooms.sensor import Photograph, photograph

__all__ = ["ROOM_CLASSES", "Photograph", "furnish", "photograph"]
