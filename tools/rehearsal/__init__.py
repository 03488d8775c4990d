"""The full-size rehearsal: the README's road with a model of the flagship's true shape, on a machine without a GPU.

`scripts/rehearse.sh` makes the environments and runs `python -m tools.rehearsal`.
"""
