"""Artifacts and their functions."""
import collections
import ctypes
import hashlib
import inspect
import json
import keyword
import os
import struct

from ._arrays import Borrowed, Owned, seen
from ._library import Error, Options, View, check, library

_CTYPES = {"f64": ctypes.c_double, "f32": ctypes.c_float, "i64": ctypes.c_int64, "i32": ctypes.c_int32}


def _type_text(tensor):
    return f"{tensor['dtype']} [{', '.join(map(str, tensor['shape']))}]"


def _python_name(name):
    """A name as Python spells it: learning_rate.default is learning_rate_default."""
    spelled = "".join(letter if letter.isalnum() else "_" for letter in name)
    return spelled + "_" if keyword.iskeyword(spelled) else spelled


def _dropout_seed(step):
    """Another number of 32 bits for each step."""
    return int.from_bytes(hashlib.blake2b(struct.pack("<d", step), digest_size=4).digest(), "little", signed=True)


class Entry:
    """A function of an artifact. `help` of it says what it takes and gives; it may be called from several threads at once."""

    def __init__(self, artifact, described):
        self._artifact, self.name, self.kind = artifact, described["name"], described["kind"]
        self._given = [argument for argument in described["arguments"] if argument["role"] in ("input", "scalar")]
        self._results = [result for result in described["results"] if "check" not in result]
        self._defaults = {"step": 1, "position": 0, "scale": 1, "dropout_seed": 0}
        self._defaults.update({f"learning_rate.{group['name']}": group["learning_rate"] for group in artifact.manifest["groups"]})
        self._places = {}
        for index, argument in enumerate(self._given):
            self._places[argument["name"]] = self._places[_python_name(argument["name"])] = index
        names = [_python_name(result["name"]) for result in self._results]
        self._tuple = collections.namedtuple(_python_name(self.name), names, rename=True) if len(names) != 1 else None
        self.__name__ = self.__qualname__ = self.name
        self.__doc__ = self._describe(described)
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(_python_name(argument["name"]), inspect.Parameter.POSITIONAL_OR_KEYWORD,
                               default=self._default(argument)) for argument in self._ordered()])

    def _default(self, argument):
        return self._defaults.get(argument["name"], inspect.Parameter.empty) if argument["role"] == "scalar" else inspect.Parameter.empty

    def _ordered(self):
        # Python wants what has a default last; the rest is in the manifest's order.
        return sorted(self._given, key=lambda argument: self._default(argument) is not inspect.Parameter.empty)

    def _describe(self, described):
        lines = [f"{self.kind} function \"{self.name}\" of {self._artifact.path}", "", "Takes:"]
        for argument in self._given:
            text = f"  {_python_name(argument['name'])}: {_type_text(argument)}"
            if "range" in argument:
                text += f", {argument['range'][0]} <= value < {argument['range'][1]}"
            if self._default(argument) is not inspect.Parameter.empty:
                drops = argument["name"] == "dropout_seed" and "step" in self._places
                text += f", by default {'another for each step' if drops else self._default(argument)}"
            lines.append(text)
        lines += ["", "Gives:"] + [f"  {_python_name(result['name'])}: {_type_text(result)}" for result in self._results]
        dims = described.get("dims", {}).get("T", {})
        if dims.get("multiple_of", 1) > 1:
            lines += ["", f"T is a multiple of {dims['multiple_of']}."]
        return "\n".join(lines)

    def __repr__(self):
        return f"<peer.Entry {self.name}{inspect.signature(self)} of {self._artifact.path}>"

    def _arrange(self, values, named):
        """Arguments in the manifest's order."""
        ordered, given = self._ordered(), [None] * len(self._given)
        if len(values) > len(ordered):
            raise Error(f"{self.name} takes {len(ordered)} argument{'' if len(ordered) == 1 else 's'}, {len(values)} were given")
        for argument, value in zip(ordered, values):
            given[self._places[argument["name"]]] = value
        for name, value in named.items():
            place = self._places.get(name)
            if place is None:
                known = ", ".join(_python_name(argument["name"]) for argument in ordered) or "none"
                raise Error(f"{self.name} has no argument \"{name}\" (its arguments: {known})")
            if given[place] is not None:
                raise Error(f"{self.name}: the argument \"{name}\" was given twice")
            given[place] = value
        return given

    def __call__(self, *values, out=None, **named):
        """Calls it. `out`: an array, or a list of them, to write the results to."""
        artifact, held = self._artifact, []
        tokens, given = 0, self._arrange(values, named)
        for argument, value in zip(self._given, given):
            if value is None and argument["name"] == "dropout_seed" and "step" in self._places:
                step = given[self._places["step"]]
                value = _dropout_seed(float(step) if hasattr(step, "__float__") else 1)
            if value is None:
                value = self._defaults.get(argument["name"]) if argument["role"] == "scalar" else None
            if value is None:
                raise Error(f"{self.name}: the argument \"{_python_name(argument['name'])}\" ({_type_text(argument)}) is missing")
            if argument["role"] == "scalar" and isinstance(value, (int, float)):
                scalar = Owned(argument["dtype"], [])
                try:
                    kind = _CTYPES[argument["dtype"]]
                    kind.from_address(scalar.view.data).value = value if kind in (ctypes.c_double, ctypes.c_float) else int(value)
                except (OverflowError, ValueError):
                    raise Error(f"{self.name}: {argument['name']} is {value}, which is no {argument['dtype']}") from None
                if argument["dtype"].startswith("i") and (int(value) != value or kind.from_address(scalar.view.data).value != value):
                    raise Error(f"{self.name}: {argument['name']} is {value}, which is no {argument['dtype']}")
                held.append(scalar)
                continue
            held.append(Borrowed(value, f"{self.name}: {argument['name']}"))
            if len(held[-1].shape) == len(argument["shape"]):
                tokens = next((size for said, size in zip(argument["shape"], held[-1].shape) if said == "T"), tokens)
        results = self._memory(out, tokens)
        arguments = (View * max(len(held), 1))(*[each.view for each in held])
        wanted = (View * max(len(results), 1))(*[each.view for each in results])
        options = Options(ctypes.sizeof(Options), 0, artifact.threads, None)
        check(library().peer_run(artifact._opened(), self.name.encode(), arguments, len(held), wanted, len(results), ctypes.byref(options)))
        if out is not None:
            return out
        arrays = [each.array() for each in results]
        return self._tuple(*arrays) if self._tuple else arrays[0]

    def _memory(self, out, tokens):
        if out is None:
            return [Owned(result["dtype"], [tokens if size == "T" else size for size in result["shape"]]) for result in self._results]
        arrays = [out] if len(self._results) == 1 else list(out)
        return [Borrowed(array, f"{self.name}: the memory of result {number}", writes=True) for number, array in enumerate(arrays)]


class Artifact:
    """A compiled model with its parameters. Its functions are attributes: `model.layer(x)`; `model.entries` has all by name.

    path      the artifact's file
    manifest  all that is known of it, as a dictionary (runtime/README.md describes it)
    threads   that calls compute with; 0: as many as OpenMP takes
    """

    def __init__(self, path, device="", threads=0):
        self.path, self.threads, self._handle, self._bound = os.fspath(path), threads, ctypes.c_void_p(), {}
        check(library().peer_open_on(os.fsencode(path), device.encode(), ctypes.byref(self._handle)))
        text, size = ctypes.c_char_p(), ctypes.c_size_t()
        check(library().peer_manifest(self._handle, ctypes.byref(text), ctypes.byref(size)))
        self.manifest = json.loads(ctypes.string_at(text, size.value))
        self.entries = {described["name"]: Entry(self, described) for described in self.manifest["entries"]}

    def __getattr__(self, name):
        entries = self.__dict__.get("entries", {})
        if name in entries:
            return entries[name]
        raise AttributeError(f"{self.__dict__.get('path')} has no function \"{name}\" (it has: {', '.join(entries)})")

    def __dir__(self):
        return sorted([*super().__dir__(), *self.entries])

    def __repr__(self):
        return f"<peer.Artifact {self.path}: {', '.join(self.entries)}>"

    def _opened(self):
        if not self._handle:
            raise Error(f"{self.path} was closed")
        return self._handle

    def init(self, seed=0):
        """Fills the parameters by their initialisers; equal seeds give equal values. Returns the artifact."""
        check(library().peer_init_parameters(self._opened(), seed))
        return self

    def load(self, path):
        """Reads the parameters from a safetensors file, an index of several, or its directory. Returns the artifact."""
        check(library().peer_load_parameters(self._opened(), os.fsencode(path)))
        return self

    def save(self, path):
        """Writes the parameters to a safetensors file, as a whole or not at all."""
        check(library().peer_save_parameters(self._opened(), os.fsencode(path)))

    def tensor(self, name):
        """The parameter `name`, or "state:NAME" or "usage:NAME", as an array of the memory that calls use: what is written there counts."""
        if name in self._bound:
            return self._bound[name].held
        view = View()
        check(library().peer_tensor(self._opened(), name.encode(), ctypes.byref(view)))
        return seen(view, self)

    def bind(self, name, array):
        """Makes an array the parameter `name`, "state:NAME" or "usage:NAME": read and updated in place, with the values that it has. None: memory of
        the library's again, with the values of the moment; calls of few tokens are faster then than with an array, here or of `tensor`, that may
        change at any time. The artifact keeps the array."""
        borrowed = None if array is None else Borrowed(array, name, writes=True)
        check(library().peer_bind(self._opened(), name.encode(), ctypes.byref(borrowed.view) if borrowed else None))
        self._bound.pop(name, None)
        if borrowed:
            self._bound[name] = borrowed

    def clear_states(self):
        """Sets key-value caches and optimizer states to zero."""
        check(library().peer_clear_states(self._opened()))

    def clear_usage(self):
        """Sets what was counted of the use of experts to zero."""
        check(library().peer_clear_usage(self._opened()))

    def close(self):
        """Frees everything; arrays of its memory must not be used any more."""
        handle, self._handle = self._handle, None
        if handle:
            library().peer_close(handle)

    def __del__(self):
        if self.__dict__.get("_handle"):
            self.close()


def open(path, device="", threads=0):
    """Opens an artifact that peer-opt made, on "cpu", or where it is for GPUs on "cuda" or "sim"; by default where it was compiled for."""
    return Artifact(path, device, threads)
