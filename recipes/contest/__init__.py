"""A fair contest of methods, for `recipes/compare.py`."""
