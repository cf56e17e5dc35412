"""Each side of a comparison lives in a process of its own: two OpenMP runtimes do not share one well."""
import importlib
import multiprocessing
import os
import time

# A pool of OpenMP threads spins this long after its last work; whoever is timed next must not meet it.
QUIET_SECONDS = 0.3


def _serve(pipe, module, name, arguments, environment):
    try:
        # Libraries read theirs when they are loaded, which comes next.
        os.environ.update(environment)
        side = getattr(importlib.import_module(module), name)(**arguments)
        pipe.send((True, None))
        while (message := pipe.recv()) is not None:
            method, values = message
            pipe.send((True, getattr(side, method)(*values)))
    except EOFError:
        pass
    except Exception as error:  # Whatever it is, the other process reports it.
        pipe.send((False, f"{type(error).__name__}: {error}"))


class Worker:
    """`worker.method(...)` runs `side.method(...)` in the other process, to whose variables `environment` adds. Use it in a `with` statement."""

    def __init__(self, module, name, environment=(), **arguments):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_serve, args=(other, module, name, arguments, dict(environment)), daemon=True)
        self._process.start()
        other.close()
        self._receive()

    def _receive(self):
        try:
            good, value = self._pipe.recv()
        except EOFError:
            raise RuntimeError("a worker ended early; was there enough memory?") from None
        if not good:
            raise RuntimeError(value)
        return value

    def __getattr__(self, method):
        def call(*values):
            self._pipe.send((method, values))
            return self._receive()
        return call

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.is_alive():
            try:
                self._pipe.send(None)
            except BrokenPipeError:
                pass
        self._process.join()


def timed(call, *arguments):
    """One timing, after the machine has become quiet."""
    time.sleep(QUIET_SECONDS)
    return call(*arguments)
