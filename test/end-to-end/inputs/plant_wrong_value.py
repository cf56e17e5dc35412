"""Changes one expected value in two recorded cases of a folder of `./dev gpu-check`, by more than it may: one with a tolerance for all
values, by 0.25, and one with a tolerance for each, by 3 of them. Prints the cases."""
import io
import pathlib
import struct
import sys
import tarfile

import tensors


def plant(case, own):
    header, start = tensors.split(case)
    results = {key: value for key, value in header.items() if "/out/" in key and value["dtype"] == ("F64" if own else "F32") and value["shape"]}
    key = max(results, key=lambda each: results[each]["data_offsets"][1] - results[each]["data_offsets"][0])
    kind, width = ("<d", 8) if own else ("<f", 4)
    begin, end = results[key]["data_offsets"]
    middle = (end - begin) // width // 2
    by = 0.25
    if own:
        by = 3 * struct.unpack_from("<f", case, start + header[key.replace("/out/", "/tolerances/")]["data_offsets"][0] + 4 * middle)[0]
    place = start + begin + width * middle
    struct.pack_into(kind, case, place, struct.unpack_from(kind, case, place)[0] + by)


path = pathlib.Path(sys.argv[1]) / "data.tar.xz"
with tarfile.open(path) as archive:
    files = {member.name: archive.extractfile(member).read() for member in archive}
for own in (True, False):
    name = min(name for name in files if name.endswith(".case") and (b'/tolerances/' in files[name]) == own)
    changed = bytearray(files[name])
    plant(changed, own)
    files[name] = bytes(changed)
    print(name.removesuffix(".case"))
with tarfile.open(path, "w:xz") as archive:
    for each, content in files.items():
        info = tarfile.TarInfo(each)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
