"""Stands in for a Python with PyTorch: answers as test/gpu-check/torch_side.py does, with made-up times."""
import json
import sys

if sys.argv[1] == "-c":
    sys.exit(0)
for line in sys.stdin:
    request = json.loads(line)
    if "prepare" in request:
        answer = {"variants": ["eager", "compile", "triton"]}
    elif request["measure"] == "compile":
        answer = {"message": "it does not compile"}
    else:
        answer = {"us": 1234.5 if request["measure"] == "eager" else 99.0, "peak_bytes": 5}
    print(json.dumps(answer), flush=True)
