"""How long the compiler takes."""
import resource
import statistics
import subprocess
import time

import cases


def with_blocks(description, blocks):
    """The text of the example with this many blocks, the one in the middle with experts."""
    half, text = blocks // 2, description.read_text(encoding="utf-8")
    for old, new in (('"blocks" 5 @', f'"blocks" {half - 1} @'), ('"blocks.5"', f'"blocks.{half - 1}"'), ('"blocks" 6 from 6 @', f'"blocks" {half} from {half} @')):
        assert text.count(old) == 1, f"{description} has not one {old}"
        text = text.replace(old, new)
    return text


def compile_time(bench):
    """From descriptions of 12 to 96 blocks to artifacts."""
    for blocks, target in ((12, "<= 4 s"), (24, ""), (48, ""), (96, "<= 20 s")):
        description = bench.folder / f"blocks_{blocks}.mlir"
        description.write_text(with_blocks(bench.root / "examples/million_peer_lm.mlir", blocks), encoding="utf-8")
        artifact = description.with_suffix(".peer")
        seconds, processor = [], []
        for _ in range(3 if bench.quick or blocks > 12 else 7):
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([bench.build / "bin" / "peer-opt", description, "--target=cpu", "-o", artifact], check=True)
            seconds.append(time.perf_counter() - start)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            processor.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        middle, used, size = statistics.median(seconds), statistics.median(processor), artifact.stat().st_size
        yield cases.Row(f"compile a model of {blocks} blocks", 0, target=target, seconds=middle, processor_seconds=used, artifact_bytes=size,
                  note=f"{middle:.2f} s, {used:.2f} s of them computing; {size / 1e6:.1f} MB")
