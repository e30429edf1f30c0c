"""``python -m bench.worker PARENT MODULE ARGUMENT...`` runs a module that ends with its parent."""

import runpy
import signal
import sys

from bench.worker.process import end_with


def main() -> None:
    """Run a module; obey and end with the parent from the first moment, before torch is loaded."""
    end_with(int(sys.argv.pop(1)))
    # Until there are pairs to finish an interrupt kills: a KeyboardInterrupt that meets torch's own
    # loading is lost there, and one that a shell ignores for its background stays ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
