#!/usr/bin/env python3
"""Makes plain text to train on out of the dictionary of Debian's package dict-gcide.

usage: dictionary.py gcide.dict.dz TEXT

An entry becomes a line with its head and one indented line per paragraph; pronunciations, etymologies and source marks
go. The entries are put into a fixed random order: a text held out from its end then has words of all letters.
"""
import gzip
import os
import pathlib
import random
import re
import sys

# [=a], [e'], [aum], [ae] and the like are letters; everything else in brackets is a remark.
ACCENT = re.compile(r"""\[(?:['`^"=~.-]+([A-Za-z]{1,2})|([A-Za-z]{1,2})['`^"=~,-]+|([aeiou])um|(ae|oe))\]""")
BRACKETS = re.compile(r"\s*\[[^\[\]]*\]")
# The head again, divided into syllables and sounded out.
PRONUNCIATION = re.compile(r"\s*\\[^\\]{1,200}\\(?:\s*\([^()]*\))?")
PARAGRAPH = re.compile(r"\n\s*\n|\n(?=\s+(?:\d+\.|\([a-z]\))\s)")
SPACE_BEFORE = re.compile(r"\s+([,.;:)])")


def plain(text):
    """Without what is written for the eye of a linguist."""
    text = ACCENT.sub(lambda match: next(filter(None, match.groups())), text)
    for _ in range(2):  # brackets within brackets
        text = BRACKETS.sub("", text)
    return PRONUNCIATION.sub("", text).replace("{", "").replace("}", "")


def entries(text):
    """Those with a head and a definition."""
    for entry in re.split(r"\n\n(?=[A-Za-z'])", text):
        head, _, definition = plain(entry).partition("\n")
        paragraphs = [SPACE_BEFORE.sub(r"\1", " ".join(part.split())) for part in [head] + PARAGRAPH.split("\n" + definition)]
        # What still has brackets is damaged; what is longer than a page is an essay.
        paragraphs = [part for part in paragraphs if part and len(part) < 2000 and not set(part) & set("[]\\")]
        if len(paragraphs) > 1 and head.startswith(paragraphs[0][:1]):
            yield paragraphs[0] + "\n" + "".join(f"   {part}\n" for part in paragraphs[1:])


def main():
    source, target = sys.argv[1:]
    text = gzip.decompress(pathlib.Path(source).read_bytes()).decode("ascii", "ignore")
    # What precedes the first head describes the file.
    found = sorted(set(entries(text[text.index("\nA \\A") + 1:])))
    random.Random(0).shuffle(found)
    pathlib.Path(target + ".new").write_text("\n".join(found), encoding="ascii")
    os.replace(target + ".new", target)


if __name__ == "__main__":
    main()
