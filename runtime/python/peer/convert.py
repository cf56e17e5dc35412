"""Layers of other packages as descriptions and weights, and weights back under the packages' names: python -m peer.convert --help."""
import argparse
import sys

from ._descriptions import ACTIVATIONS, GATES
from ._layouts import DEFAULTS, LINEARS, NAMES, WRAPPERS, config, find, ours, theirs
from ._library import Error
from ._safetensors import WIDENED, atomically, read, write

_EPILOG = """
examples:
  python -m peer.convert model.safetensors --out layer.mlir --weights layer.safetensors
  peer-run call layer.mlir layer --weights layer.safetensors --in x.safetensors --out y.safetensors
  python -m peer.convert replaced.safetensors --back --weights original.safetensors

A file does not say how many experts a head chooses, nor gate and activation: without options they are the defaults of the package that the
layer is from, and printed. Kinds: lucidrains-peer (PEER-pytorch), lucidrains-pkm (product-key-memory), meta-memory (HashingMemory of facebookresearch/memory), peer (this
package's modules). With --back, --kind says what layers become, where more than one kind has their parts.
"""


def _say(text):
    print(f"peer.convert: {text}")


def _layers(tensors, kind):
    found = [(prefix, known) for prefix, known in find(tensors) if kind in ("auto", known)]
    if not found:
        some = ", ".join(list(tensors)[:4])
        raise Error(f"no layer {'' if kind == 'auto' else f'of the kind {kind} '}is in the file (its names begin {some}); "
                    f"kinds: {', '.join(NAMES)}")
    return found


def _choose(found, prefix):
    """The layer of a prefix, which may leave out what wrappers put before it."""
    if prefix is not None:
        prefix += "." if prefix and not prefix.endswith(".") else ""
    fitting = [each for each in found if prefix is None or each[0] == prefix]
    if not fitting:
        def bare(name):
            while (wrapper := next((each for each in WRAPPERS if name.startswith(each)), None)) is not None:
                name = name[len(wrapper):]
            return name
        fitting = [each for each in found if bare(each[0]) == bare(prefix)]
    if len(fitting) != 1:
        places = ", ".join(f'"{place}" ({kind})' for place, kind in found)
        raise Error(f"--prefix {prefix or ''} is of no single layer; layers are at {places}" if prefix is not None
                    else f"the file holds {len(found)} layers: say which by --prefix, one of {places}")
    place, kind = fitting[0]
    wrappers = [each for each in WRAPPERS if place.startswith(each) and not (prefix or "").startswith(each)]
    _say(f'{kind} at "{place}"' + (f", where a wrapper put \"{wrappers[0]}\" before the model's own names" if wrappers else ""))
    return place, kind


def _under(tensors, prefix):
    return {name[len(prefix):]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _widened(tensors):
    for dtype in WIDENED:
        if names := [name for name, tensor in tensors.items() if tensor.dtype == dtype]:
            _say(f"{dtype} is widened to F32: {', '.join(names)}")


def _said(kind, options):
    """What the file does not say, of options or the defaults."""
    made = {name: value if getattr(options, name) is None else getattr(options, name) for name, value in DEFAULTS[kind].items()}
    assumed = [f"--{name.replace('_', '-')} {value}" for name, value in made.items() if getattr(options, name) is None]
    if assumed:
        _say(f"taken as {kind}'s defaults: {' '.join(assumed)}")
    for name in ("experts_per_head", "gate", "activation", "norm_epsilon"):
        if name not in made and getattr(options, name) is not None:
            raise Error(f"--{name.replace('_', '-')} is of no use to a layer of the kind {kind}")
    return made


def _forward(tensors, options):
    prefix, kind = _choose(_layers(tensors, options.kind), options.prefix)
    own = _under(tensors, prefix)
    layer = config(kind, own, _said(kind, options))
    _widened(own)
    if idle := [name for name in LINEARS if name in own and name not in layer.parameters]:
        _say(f"left out, since experts of two vectors are not projected: {', '.join(idle)}")
    write(options.weights, ours(kind, own, layer))
    text = f"// Made by peer.convert of {kind} at \"{prefix}\".\n" + layer.function()
    atomically(options.out, lambda file: file.write(text.encode()))
    _say(f"{options.out}: {layer.num_experts} experts of width {layer.dim}, {layer.heads} heads that choose {layer.experts_per_head}, "
         f"keys of {layer.key_dim}; {options.weights}: its weights")


def _back(tensors, options):
    """All layers, between what else is in the file; or the one of a prefix, alone."""
    found = _layers(tensors, "peer")
    chosen = [_choose(found, options.prefix)] if options.prefix is not None else found
    made, done = [], set()
    for prefix, kind in chosen:
        # Other modules may lie under the prefix "", and have names of their own.
        own = {name: tensor for name, tensor in _under(tensors, prefix).items() if name in sum(NAMES[kind], ()) or options.prefix is not None}
        layer = config(kind, own, {"experts_per_head": 1})
        _widened(own)
        kept = "" if options.prefix is not None else prefix
        made += [(kept + name, *rest) for name, *rest in theirs(own, layer, None if options.kind in ("auto", "peer") else options.kind)]
        done.update(prefix + name for name in own)
    rest = [tensor for name, tensor in tensors.items() if name not in done] if options.prefix is None else []
    write(options.weights, made + [(tensor.name, tensor.dtype, tensor.shape, tensor.pieces()) for tensor in rest])
    _say(f"{options.weights}: {len(chosen)} layer{'s' * (len(chosen) > 1)} under the names that they had, {len(rest)} other tensors as they are")


def main(arguments=None):
    parser = argparse.ArgumentParser("python -m peer.convert", description="A layer of a state dict as a description and weights for peer-opt and "
                                     "peer-run.", epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="safetensors: a file, an index of several, or a folder with either")
    parser.add_argument("--kind", choices=["auto", *NAMES], default="auto", help="what the layer is (default: by its names)")
    parser.add_argument("--prefix", help="of the layer's names, such as layers.3.ffw; \"module.\" and the like may be left out")
    parser.add_argument("--out", help="the description to write")
    parser.add_argument("--weights", required=True, help="the safetensors file to write")
    parser.add_argument("--back", action="store_true", help="the reverse: from this package's names to those that the layers had")
    parser.add_argument("--experts-per-head", type=int, metavar="K")
    parser.add_argument("--gate", choices=GATES)
    parser.add_argument("--activation", choices=ACTIVATIONS)
    parser.add_argument("--norm-epsilon", type=float, metavar="E", help="of norm.weight, for the kind peer; replaced layers have 1e-24")
    options = parser.parse_args(arguments)
    try:
        if options.back == (options.out is not None):
            raise Error("--back writes weights alone, without --out" if options.back else "--out is missing: where the description goes")
        tensors = read(options.file)
        (_back if options.back else _forward)(tensors, options)
    except Error as error:
        print(f"peer.convert: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
