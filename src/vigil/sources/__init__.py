"""Where pictures come from: video files, folders of them, pictures and cameras.

Every source gives `Frame`s that are already sampled at `sampling.fps` and sized by `fit`, so that
the cutter (`vigil.windows.iter_windows`) treats them all alike.
"""
