"""A description of so many additions, each of the last sum, or of so many calls, each of the function before.
Usage: long_chain.py N [call]"""
import sys

count = int(sys.argv[1])
TYPE = "tensor<?x5xf32>"


def function(name, body, result):
    print(f"func.func {name}(%x: {TYPE}) -> {TYPE} {{\n{body}  return {result} : {TYPE}\n}}")


if sys.argv[2:] == ["call"]:
    function("private @f0", "", "%x")
    for i in range(1, count + 1):
        call = f"  %y = peer.call \"\" @f{i - 1}(%x) : ({TYPE}) -> {TYPE}\n"
        function("@f" if i == count else f"private @f{i}", call, "%y")
else:
    sums = [f"  %{i} = arith.addf {f'%{i - 1}' if i else '%x'}, %x : {TYPE}\n" for i in range(count)]
    function("@f", "".join(sums), f"%{count - 1}")
