"""The full-size rehearsal: the commands of the README with a full-size model of random weights, without a GPU.

`scripts/rehearse.sh` sets up the environments and runs `python -m tools.rehearsal`.
"""
