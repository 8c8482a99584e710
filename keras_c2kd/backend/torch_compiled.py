"""In torch nothing is compiled, which would need a C++ compiler on the machine."""

import torch

COMPILES = False


def compiled(function):
    """`function` as it is."""
    return function


def sort(integers):
    """int32 in ascending order along the last axis."""
    return torch.sort(integers, dim=-1).values
