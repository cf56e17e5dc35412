"""The text that models are compared on, with a part of it held out."""
import pathlib

BLOCK, EVERY = 1 << 16, 80


class NoText(Exception):
    """Says which file is missing, and what brings it."""


def add_arguments(parser, root):
    parser.add_argument("--data", type=pathlib.Path, metavar="PATH", default=root / "build/dictionary.txt",
                        help="the text (default: an English dictionary, made of Debian's package dict-gcide in build/)")
    parser.add_argument("--eval-tokens", type=int, default=65536, metavar="N", help="validate on at most this many bytes of what is held out; 0: all [65536]")


def split(path, folder):
    """Writes every 80th block of 64 KiB to held.txt and the others to train.txt in `folder`; returns both paths."""
    if not path.is_file():
        raise NoText(f"no text at {path}: expected a file; ./dev bench makes one of Debian's package dict-gcide (apt-get install dict-gcide), --data names another")
    text = path.read_bytes()
    blocks = [text[at:at + BLOCK] for at in range(0, len(text), BLOCK)]
    if len(blocks) < EVERY:
        raise NoText(f"{path} has {len(text)} bytes, of which every {EVERY}th block of {BLOCK} is held out: expected at least {(EVERY - 1) * BLOCK + 1}")
    folder.mkdir(parents=True, exist_ok=True)
    train, held = folder / "train.txt", folder / "held.txt"
    train.write_bytes(b"".join(block for i, block in enumerate(blocks) if i % EVERY != EVERY - 1))
    held.write_bytes(b"".join(blocks[EVERY - 1::EVERY]))
    return train, held
