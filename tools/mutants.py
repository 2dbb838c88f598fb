#!/usr/bin/env python3
"""Breaks the kernels on purpose, one line at a time, and tells which breaks no test sees.

    python3 tools/mutants.py [NAME…]     all mutants, or those whose names contain one of the words

A mutant replaces a text that stands once in a file; the tests named for it are run on a copy of the tree. It is killed
where they fail, survives where they pass; one that does not compile is a mistake in the list. Standard library only.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

def list_of_mutants():
    """The list in mutants.txt beside this file: blocks of name, file, tests, text, replacement."""
    blocks = (ROOT / "tools/mutants.txt").read_text().split("\n---\n")
    for block in blocks:
        lines = block.strip("\n").split("\n")
        name, file, tests = lines[0].removeprefix("# "), lines[1], lines[2].split()
        middle = lines.index("=>")
        yield name, file, tests, "\n".join(lines[3:middle]), "\n".join(lines[middle + 1 :])


def main():
    words = sys.argv[1:]
    mutants = [m for m in list_of_mutants() if not words or any(word in m[0] for word in words)]
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        ignore = shutil.ignore_patterns("target", ".git", "runs", "corpus", "artifacts")
        shutil.copytree(ROOT, tree, ignore=ignore)
        survivors = [name for name, *mutant in mutants if not is_killed(tree, name, *mutant)]
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed")
    for name in survivors:
        print(f"survived: {name}")
    return 1 if survivors else 0


def is_killed(tree, name, file, tests, text, replacement):
    path = tree / file
    good = path.read_text()
    if good.count(text) != 1:
        sys.exit(f"{name}: the text stands {good.count(text)} times in {file}, must stand once")
    path.write_text(good.replace(text, replacement))
    start = time.time()
    try:
        build = run(tree, tests + ["--no-run"])
        if build.returncode:
            sys.exit(f"{name}: does not compile\n{build.stderr.decode()[-2000:]}")
        killed = run(tree, tests).returncode != 0
    finally:
        path.write_text(good)
    print(f"{'killed  ' if killed else 'SURVIVED'}  {time.time() - start:5.0f} s  {name}", flush=True)
    return killed


def run(tree, tests):
    command = ["cargo", "test", "--release", "--quiet", *tests]
    return subprocess.run(command, cwd=tree, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


if __name__ == "__main__":
    sys.exit(main())
