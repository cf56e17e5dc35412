"""Prints a language model's description with its mixes reading int8 rows, for inference alone: int8_twin.py MODEL.mlir."""
import re
import sys


def main():
    with open(sys.argv[1]) as file:
        text = file.read()
    # One pool, its type behind an alias: what stands for it in the op becomes the int8 type and that of the scales.
    rows, vectors = re.search(r"!pool = tensor<(\d+)x(\d+)x\d+xf32>", text).groups()
    text = re.sub(r"(!pool = tensor<[\dx]+x)f32>", rf"\g<1>i8>  !scales = tensor<{rows}x{vectors}xf32>", text)
    text, params = re.subn(r'%p( +)= peer\.param "([\w.]+)" normal\([\d.]+\) group\("experts"\) : !pool',
                           r'%p\1= peer.param "\2" zeros : !pool\n  %ps = peer.param "\2.scale" zeros : !scales', text)
    text, mixes = re.subn(r"peer\.mix (%\w+, %\w+, %\w+, %p) (.*), !pool", r"peer.quantized_mix \1, %ps \2, !pool, !scales", text)
    text, requests = re.subn(r"peer\.train [^}]*\}\}?", "", text)
    text, losses = re.subn(r'(func\.func @loss\(.*-> \(tensor<f32> \{peer\.name = "loss"\}\)) \{',
                           r'\1 attributes {peer.kind = "loss"} {', text)
    assert params == mixes == requests == losses == 1, (params, mixes, requests, losses)
    print(text)


main()
