"""`llamafactory-cli`, loaded and left in two thirds of the time.

    .venv-train/bin/python llamafactory_cli.py train CONFIG

What it loads stays to its end, so that looking for garbage in it is time lost, 3 s of it when it ends.
"""

import atexit
import gc


def main() -> None:
    """Runs one command of LLaMA-Factory in this process."""
    gc.disable()
    import llamafactory.train.tuner  # noqa: F401
    from llamafactory.cli import main as run

    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)
    run()


if __name__ == "__main__":
    main()
