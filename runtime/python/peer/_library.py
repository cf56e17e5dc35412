"""libpeer_runtime.so and peer-opt: where they are, and the C interface in ctypes."""
import ctypes
import functools
import os
import pathlib
import shutil

ABI_VERSION = 1
CPU, CUDA = 1, 2
TRUST_INPUTS = 1


class Error(RuntimeError):
    """What was wrong, in one sentence: which file or argument, which value, what was expected."""


class View(ctypes.Structure):
    """peer_view."""
    _fields_ = [("size", ctypes.c_uint32), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("dtype", ctypes.c_char_p),
                ("rank", ctypes.c_size_t), ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
                ("data", ctypes.c_void_p)]


class Options(ctypes.Structure):
    """peer_options."""
    _fields_ = [("size", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("threads", ctypes.c_int32), ("stream", ctypes.c_void_p)]


# What a wheel brings along: see tools/wheel.py.
NATIVE = pathlib.Path(__file__).resolve().parent / "_native"


def _clone():
    """The build folder of the clone that this package lies in, if it lies in one."""
    build = pathlib.Path(__file__).resolve().parents[3] / "build"
    return build if build.is_dir() else None


def find_compiler():
    """The absolute path of peer-opt, which runs in another folder: $PEER_OPT, that of the wheel or of the clone around this package, or that
    of $PATH."""
    if given := os.environ.get("PEER_OPT"):
        if not os.access(given, os.X_OK):
            raise Error(f"$PEER_OPT is {given}, which is no program")
        return os.path.abspath(given)
    if (NATIVE / "bin" / "peer-opt").exists():
        return str(NATIVE / "bin" / "peer-opt")
    clone = _clone()
    if clone and (clone / "bin" / "peer-opt").exists():
        return str(clone / "bin" / "peer-opt")
    if found := shutil.which("peer-opt"):
        return os.path.abspath(found)
    raise Error("there is no peer-opt to compile with: put it on $PATH, or its path into $PEER_OPT")


def compiler_environment(compiler):
    """What it needs in its environment: a wheel's libraries are beside it, and those that they need in turn have no run path."""
    if NATIVE not in pathlib.Path(compiler).parents:
        return None
    paths = [str(NATIVE / "lib"), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(paths)}


def find_runtime():
    """The path of libpeer_runtime.so: $PEER_RUNTIME, that of the wheel, or that beside peer-opt."""
    if given := os.environ.get("PEER_RUNTIME"):
        return given
    if (NATIVE / "lib" / "libpeer_runtime.so").exists():
        return str(NATIVE / "lib" / "libpeer_runtime.so")
    try:
        beside = pathlib.Path(find_compiler()).resolve().parents[1] / "lib" / "libpeer_runtime.so"
    except Error:
        beside = None
    # Where it is not, the dynamic loader may know it.
    return str(beside) if beside and beside.exists() else "libpeer_runtime.so"


@functools.cache
def library():
    """The library, opened once, with the types of its functions."""
    path = find_runtime()
    try:
        # What the runtime opens by name, OpenBLAS, finds these when they are there already.
        for name in ("libquadmath.so.0", "libgfortran.so.5") if NATIVE in pathlib.Path(path).parents else ():
            if (NATIVE / "lib" / name).exists():
                ctypes.CDLL(str(NATIVE / "lib" / name))
        lib = ctypes.CDLL(path)
    except OSError as error:
        raise Error(f"the runtime cannot be opened: {error}; $PEER_RUNTIME may say where libpeer_runtime.so is") from None
    if not hasattr(lib, "peer_abi_version") or lib.peer_abi_version() < ABI_VERSION:
        raise Error(f"{path} is older than this package: it lacks version {ABI_VERSION} of its interface")
    handle, text, size, view = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(View)
    lib.peer_last_error.restype = lib.peer_version.restype = text
    for name, types in {
            "peer_open_on": [text, text, ctypes.POINTER(handle)], "peer_close": [handle],
            "peer_manifest": [handle, ctypes.POINTER(text), ctypes.POINTER(size)], "peer_init_parameters": [handle, ctypes.c_uint64],
            "peer_load_parameters": [handle, text], "peer_save_parameters": [handle, text], "peer_bind": [handle, text, view],
            "peer_tensor": [handle, text, view], "peer_run": [handle, text, view, size, view, size, ctypes.POINTER(Options)],
            "peer_clear_states": [handle], "peer_clear_usage": [handle]}.items():
        getattr(lib, name).argtypes = types
    return lib


def check(status):
    """Raises what the last call of this thread said."""
    if status != 0:
        raise Error(library().peer_last_error().decode("utf-8", "replace"))


def version():
    """The version of the runtime, such as "0.1.0"."""
    return library().peer_version().decode()
