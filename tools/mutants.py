#!/usr/bin/env python3
"""Breaks the program on purpose, one place at a time, and tells which breaks no test sees.

    python3 tools/mutants.py [--list NAME] [WORD…]     all mutants, those of tools/mutants/NAME.txt, or those whose
                                                       names contain one of the words

A mutant replaces a text that stands once in a file; the tests named for it are run on a copy of the tree, under the
profile `mutants`, which builds fast. It is killed where they fail, survives where they pass; one that does not compile
is a mistake in the list. The copy and what is built there stay in target/mutants. Standard library only.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "target/mutants/tree"


def mutants_of(path):
    """The mutants of a list: blocks of name, file, tests, text, replacement."""
    for block in path.read_text().split("\n---\n"):
        lines = block.strip("\n").split("\n")
        name, file, tests = lines[0].removeprefix("# "), lines[1], lines[2].split()
        middle = lines.index("=>")
        yield name, file, tests, "\n".join(lines[3:middle]), "\n".join(lines[middle + 1 :])


def chosen():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--list", metavar="NAME")
    arguments.add_argument("words", nargs="*")
    given = arguments.parse_args()
    lists = sorted((ROOT / "tools/mutants").glob(f"{given.list or '*'}.txt"))
    if not lists:
        sys.exit(f"there is no list tools/mutants/{given.list}.txt")
    mutants = [mutant for path in lists for mutant in mutants_of(path)]
    return [m for m in mutants if not given.words or any(word in m[0] for word in given.words)]


def copy_tree():
    """Copies what git knows of, where it has changed: an unchanged file keeps its time, and is not built again."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()
    wanted = {name for name in names if (ROOT / name).is_file()}
    for name in wanted:
        source, copy = ROOT / name, TREE / name
        if not copy.is_file() or copy.read_bytes() != source.read_bytes():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copy)
    for copy in TREE.rglob("*"):
        if copy.is_file() and str(copy.relative_to(TREE)) not in wanted:
            copy.unlink()


def main():
    mutants = chosen()
    copy_tree()
    check_texts(mutants)
    survivors = [name for name, *mutant in mutants if not is_killed(name, *mutant)]
    print(f"{len(mutants) - len(survivors)} of {len(mutants)} mutants killed")
    for name in survivors:
        print(f"survived: {name}")
    return 1 if survivors else 0


def check_texts(mutants):
    """Every text stands once, before anything is built."""
    wrong = []
    for name, file, _, text, _ in mutants:
        count = (TREE / file).read_text().count(text) if (TREE / file).is_file() else 0
        if count != 1:
            wrong.append(f"{name}: the text stands {count} times in {file}, must stand once")
    if wrong:
        sys.exit("\n".join(wrong))


def is_killed(name, file, tests, text, replacement):
    path = TREE / file
    good = path.read_text()
    path.write_text(good.replace(text, replacement))
    start = time.time()
    try:
        build = run(tests + ["--no-run"])
        if build.returncode:
            sys.exit(f"{name}: does not compile\n{build.stderr.decode()[-2000:]}")
        killed = run(tests).returncode != 0
    finally:
        path.write_text(good)
    print(f"{'killed  ' if killed else 'SURVIVED'}  {time.time() - start:5.0f} s  {name}", flush=True)
    return killed


def run(tests):
    command = ["cargo", "test", "--profile", "mutants", "--quiet", *tests]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TREE.parent / "target")}
    return subprocess.run(command, cwd=TREE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


if __name__ == "__main__":
    sys.exit(main())
