#!/usr/bin/env python3
"""Makes a few small, valid inputs for each fuzz target: tools/fuzz_seeds.py DIRECTORY. Standard library only."""

import gzip
import json
import struct
import sys
import zlib
from pathlib import Path


def safetensors(tensors, checksum=False):
    """A file of F32 tensors; with a checksum as spikegrad writes it."""
    header, data = {}, b""
    for name, numbers in tensors.items():
        begin = len(data)
        data += struct.pack(f"<{len(numbers)}f", *numbers)
        header[name] = {"dtype": "F32", "shape": [len(numbers)], "data_offsets": [begin, len(data)]}
    if not checksum:
        text = json.dumps(header, separators=(",", ":")).encode()
        return struct.pack("<Q", len(text)) + text + data
    head = '{"__metadata__":{"crc32":"'
    rest = '"},' + json.dumps(header, separators=(",", ":"))[1:]
    length = struct.pack("<Q", len(head) + 8 + len(rest))
    crc = zlib.crc32(length + (head + "0" * 8 + rest).encode() + data)
    return length + (head + f"{crc:08x}" + rest).encode() + data


def five_byte(events):
    return b"".join(bytes([x, y, on << 7 | t >> 16, t >> 8 & 255, t & 255]) for t, x, y, on in events)


def aedat2(events):
    head = b"#!AER-DAT2.0\r\n# AEChip: DVS128\r\n#End Of ASCII Header\r\n"
    return head + b"".join(struct.pack(">II", (127 - x) << 8 | (127 - y) << 1 | 1 - on, t) for t, x, y, on in events)


def dat(events):
    head = b"% Version 2\n% Height 128\n% Width 128\n" + bytes([12, 8])
    return head + b"".join(struct.pack("<II", t, on << 28 | y << 14 | x) for t, x, y, on in events)


def evt2(events):
    words = b""
    for t, x, y, on in events:
        words += struct.pack("<I", 8 << 28 | t >> 6)
        words += struct.pack("<I", on << 28 | (t & 63) << 22 | x << 11 | y)
    return b"% evt 2.0\n% geometry 128x128\n% end\n" + words


def evt3(events):
    words = b""
    for t, x, y, on in events:
        words += struct.pack("<HHHH", 8 << 12 | t >> 12, 6 << 12 | t & 4095, y, 2 << 12 | on << 11 | x)
        words += struct.pack("<HH", 3 << 12 | on << 11 | x, 4 << 12 | 0b1011)
    return b"% evt 3.0\n% geometry 128x128\n% end\n" + words


EVENTS = [(10 * i, 7 * i % 128, 11 * i % 128, i % 2) for i in range(40)]
SEEDS = {
    "safetensors": [safetensors({"a": [1.0, -2.5], "b": []}), safetensors({"w": [0.5] * 7}, checksum=True)],
    "safetensors_round_trip": [bytes(range(64)), b"\x03\x04" * 40],
    "cifar": [bytes([3]) + bytes(3072), bytes([4, 5]) + bytes(3072)],
    "idx": [
        struct.pack(">IIII", 0x803, 2, 2, 3) + bytes(12),
        struct.pack(">II", 0x801, 2) + bytes([1, 2]),
        gzip.compress(struct.pack(">II", 0x801, 3) + bytes([1, 2, 3])),
    ],
    "settings": [b'net = "lenet"\nlr = 0.01\nbatch = 20\n', b'surrogate = "arctan"\nalpha = 3.0\nreset = "soft"\n'],
    "events": [kind(EVENTS) for kind in (five_byte, aedat2, dat, evt2, evt3)],
    "events_round_trip": [bytes(range(200))],
    "run_folder": [bytes(range(20)), bytes([1, 0, 3, 9, 9, 9, 9, 0, 2, 200, 1, 0, 0, 4, 1])],
    "conv": [bytes([1, 16, 8, 8, 16, 2, 0, 1]) + bytes(9), bytes([2, 33, 5, 7, 18, 4, 1, 2]) + b"\x77" * 9],
}

for target, seeds in SEEDS.items():
    folder = Path(sys.argv[1]) / target
    folder.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(seeds):
        (folder / f"seed-{i}").write_bytes(seed)
