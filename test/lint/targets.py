"""A rule about what the levels above kernels know: no name of a target."""
import re

FOLDERS = ("dialect/", "passes/")
# Parts of identifiers and of strings, in any case: Cpu, gpu::, "nvvm", sm_90, avx512.
NAMES = re.compile(r"(?<![A-Za-z])(cpus?|gpus?|cuda|nvptx|nvvm|nvgpu|nvidia|ptx|sm_\d+\w*|x86\w*|avx\d*\w*|amx|sse\d*|neon|sve|rocdl|amdgpu|spirv)(?![a-z])",
                   re.I)
CAMEL = re.compile(r"(?<=[a-z])(Cpu|CPU|Gpu|GPU|Cuda|CUDA|Nvptx|NVPTX|NVVM)(?![a-z])")
COMMENT = re.compile(r"//.*")


def target_names(tree):
    """Both targets share all that is above lowering/: code there names neither; comments may."""
    for name in tree.having(".cpp", ".h", ".td"):
        if not name.startswith(FOLDERS):
            continue
        for number, line in tree.lines(name):
            code = COMMENT.sub("", line)
            if match := NAMES.search(code) or CAMEL.search(code):
                yield name, number, f"names a target above lowering/: {match.group(0)}"


RULES = [target_names]
