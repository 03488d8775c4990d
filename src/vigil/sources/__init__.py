"""Reads frames from video files, folders, still images and cameras.

Every source yields `Frame`s already sampled at `sampling.fps` and resized by `fit`, so the windower
(`vigil.windows.iter_windows`) treats them all alike.
"""
