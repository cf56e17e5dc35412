"""A description of so many additions, each of the last sum. Usage: long_chain.py N"""
import sys

print("func.func @f(%x: tensor<?x5xf32>) -> tensor<?x5xf32> {")
last = "%x"
for i in range(int(sys.argv[1])):
    print(f"  %{i} = arith.addf {last}, %x : tensor<?x5xf32>")
    last = f"%{i}"
print(f"  return {last} : tensor<?x5xf32>\n}}")
