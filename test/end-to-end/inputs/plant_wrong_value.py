"""Changes one expected value in the recorded cases of a folder of `./dev gpu-check`; prints the case."""
import io
import json
import pathlib
import struct
import sys
import tarfile

path = pathlib.Path(sys.argv[1]) / "data.tar.xz"
with tarfile.open(path) as archive:
    files = {member.name: archive.extractfile(member).read() for member in archive}
name = min(name for name in files if name.endswith(".case"))
case = bytearray(files[name])
size, = struct.unpack_from("<Q", case)
results = {key: value for key, value in json.loads(case[8:8 + size]).items() if "/out/" in key and value["dtype"] == "F32" and value["shape"]}
begin, end = max((value["data_offsets"] for value in results.values()), key=lambda span: span[1] - span[0])
middle = 8 + size + (begin + end) // 8 * 4
struct.pack_into("<f", case, middle, struct.unpack_from("<f", case, middle)[0] + 0.25)
files[name] = bytes(case)
with tarfile.open(path, "w:xz") as archive:
    for each, content in files.items():
        info = tarfile.TarInfo(each)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
print(name.removesuffix(".case"))
