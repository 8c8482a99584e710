"""In torch nothing is compiled, which would need a C++ compiler on the machine."""

import torch

COMPILES = False
_OFFSET = 1 << 31


def compiled(function):
    """`function` as it is."""
    return function


def sort(first, second):
    """Pairs of int32 in ascending order along the last axis, by the first of them."""
    first, second = first.to(torch.int64), second.to(torch.int64)
    pairs = torch.sort((first << 32) + (second + _OFFSET), dim=-1).values
    first, second = pairs >> 32, (pairs & (2 * _OFFSET - 1)) - _OFFSET
    return first.to(torch.int32), second.to(torch.int32)
