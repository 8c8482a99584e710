"""Small generated datasets, each in the original layout of a real one."""
