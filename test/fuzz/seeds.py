"""The seeds of the fuzz targets, made of what is in the tree: descriptions of examples and tests, and what the tools make of one."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

import artifact  # noqa: E402
import tensors  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
NANO = SOURCE / "test/end-to-end/inputs/nano_lm.mlir"
BETWEEN = b"\n=====\n"
# Larger ones take longer to run than they are worth.
MOST_DESCRIPTION, MOST_PTX = 2500, 20000


def put(folder, contents):
    """Named by its contents, so that the same seed is there once."""
    (folder / hashlib.sha1(contents).hexdigest()[:16]).write_bytes(contents)


def descriptions(folder, build, environment):
    for path in sorted(SOURCE.glob("examples/*.mlir")) + sorted(SOURCE.glob("test/**/*.mlir")) + sorted(SOURCE.glob("test/**/*.test")):
        text = path.read_text(errors="replace")
        parts = re.split(r"^(?://|#)\s*-----.*$|^(?://|#)--- .*$", text, flags=re.M)
        for part in parts[1:] if path.suffix == ".test" else parts:
            lines = [line for line in part.splitlines() if line.strip() and not line.lstrip().startswith("//")]
            if "func.func" in part and sum(map(len, lines)) <= MOST_DESCRIPTION:
                put(folder, ("\n".join(lines) + "\n").encode())


def compile_nano(folder, build, environment, target, *more):
    output = folder / ("nano." + target.replace(":", "-"))
    subprocess.run([build / "bin/peer-opt", NANO, f"--target={target}", "--ptxas=none", "-o", output, *more], check=True, env=environment)
    contents = output.read_bytes()
    output.unlink()
    return contents


def artifacts(folder, build, environment):
    for target in ("cpu:x86-64-v2+x86-64-v3", "sm_90"):
        data = compile_nano(folder, build, environment, target)
        manifest = artifact.unpack(data)[1]
        whole = json.loads(manifest)
        for version in whole.pop("versions", []):
            put(folder, json.dumps(dict(whole, entries=whole["entries"][:1], versions=[dict(version, entries=version["entries"][:1])])).encode())
        put(folder, json.dumps(whole).encode())
        # One entry each, so that a change is likely to hit it.
        for entry in whole["entries"]:
            put(folder, json.dumps(dict(whole, entries=[entry], parameters=whole["parameters"][:2])).encode())
    put(folder, manifest + data[-artifact.FOOTER_BYTES:])


def safetensors(folder, build, environment):
    def file(header, data):
        text = json.dumps(header, separators=(",", ":")).encode()
        put(folder, text + BETWEEN + data)
        put(folder, struct.pack("<Q", len(text)) + text + data)
    widths = {"F64": 8, "F32": 4, "I64": 8, "I32": 4, "BF16": 2, "F16": 2, "I8": 1, "U8": 1, "BOOL": 1}
    for dtype, width in widths.items():
        file({"a": {"dtype": dtype, "shape": [2, 3], "data_offsets": [0, 6 * width]}}, bytes(range(6 * width)))
    file({"__metadata__": {"step": "2", "é": ""}, "x": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]},
          "y": {"dtype": "I8", "shape": [0, 7], "data_offsets": [4, 4]}, "z": {"dtype": "I8", "shape": [3], "data_offsets": [4, 7]}}, b"\0\0\x80\x7fabc")
    file({"__metadata__": {}}, b"")
    # An index of shards.
    put(folder, json.dumps({"metadata": {"total_size": 8}, "weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}).encode())


def ptx(folder, build, environment):
    # All that the unit tests execute: every instruction and every fault.
    kept = folder / "kept"
    kept.mkdir()
    subprocess.run([build / "bin/peer-sim-tests", "--gtest_brief=1", "--gtest_filter=-*Throughput*:Compiled*"], check=True,
                   env=dict(environment, PEER_TEST_KEEP_PTX=str(kept)), stdout=subprocess.DEVNULL)
    for path in sorted(kept.iterdir()):
        if path.stat().st_size <= MOST_PTX:
            put(folder, path.read_bytes())
    shutil.rmtree(kept)
    # Compiled kernels, each by itself.
    text = compile_nano(folder, build, environment, "sm_90", "--emit=asm").decode()
    head, *kernels = re.split(r"(?=^\.visible \.entry)", text, flags=re.M)
    for kernel in kernels:
        contents = (head + kernel).encode()
        if len(contents) <= MOST_PTX:
            put(folder, contents)


def resume(folder, build, environment):
    run = folder.parent / "resume-run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir()
    (run / "m.peer").write_bytes(compile_nano(run, build, environment, "cpu"))
    (run / "text").write_bytes(b"It is a truth universally acknowledged that a run must be in want of a checkpoint. " * 20)
    subprocess.run([build / "bin/peer-run", "train", run / "m.peer", "--data", run / "text", "--steps", "2", "--batch", "1", "--threads", "1",
                    "--eval-every", "1", "--out", run / "run"], check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    data = (run / "run/checkpoint-2.safetensors").read_bytes()
    header = data[8:tensors.split(data)[1]]
    log = (run / "run/log.jsonl").read_bytes()
    settings = json.loads(header)["__metadata__"]["run"].encode()
    for parts in ((log, settings), (log, settings, header), (b"", settings), (log + b'{"step": 3, "lo', settings)):
        put(folder, BETWEEN.join(parts))


def make(name, build, program, seeds, environment):
    """Makes the seeds of one target with the tools of a build, unless they are younger than the target's program."""
    folder = seeds / name
    if folder.is_dir() and folder.stat().st_mtime > program.stat().st_mtime:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    maker = {"descriptions": descriptions, "descriptions-gpu": descriptions, "artifacts": artifacts, "safetensors": safetensors,
             "ptx": ptx, "resume": resume}[name]
    maker(folder, build, environment)
    assert any(folder.iterdir()), f"no seeds for {name}"
