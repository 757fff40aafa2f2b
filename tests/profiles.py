"""Small ICC profiles (version 2) for the tests: wide RGB primaries with a plain gamma, and four inks."""

import itertools
import struct

D50 = (0.9642, 1.0, 0.8249)


def xyz(values):
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(x * 65536)) for x in values)


def profile(kind, space, connection, tags):
    """An ICC profile of these tags."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 6) + b"trial\0" + bytes(80),
        b"wtpt": xyz(D50),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        **tags,
    }
    table, data, at = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        body += bytes(-len(body) % 4)
        table += name + struct.pack(">II", at + len(data), len(body))
        data += body
    head = struct.pack(">I4sI4s4s4s12x4s28x", at + len(data), b"none", 0x02100000, kind, space, connection, b"acsp")
    return (head + xyz(D50)[8:]).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def gamma(power):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(power * 256))


def wide_rgb():
    """Primaries as those of Adobe RGB."""
    primaries = {
        b"rXYZ": (0.6097, 0.3111, 0.0195),
        b"gXYZ": (0.2053, 0.6257, 0.0609),
        b"bXYZ": (0.1492, 0.0632, 0.7446),
    }
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), gamma(2.2))
    return profile(b"mntr", b"RGB ", b"XYZ ", {name: xyz(values) for name, values in primaries.items()} | curves)


def light_grey():
    """Grey whose curve is flatter than that of sRGB."""
    return profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": gamma(1.4)})


def four_inks():
    """Dull inks: each darkens, in L*a*b* between the corners of their cube."""
    ramp = bytes(range(256))
    corners = b""
    for c, m, y, k in itertools.product((0, 1), repeat=4):
        light = 255 * 0.7 ** (c + m + y) * 0.2**k
        corners += bytes([round(light), 128 - 40 * c + 50 * m, 128 - 30 * c + 60 * y])
    matrix = b"".join(struct.pack(">i", 65536 * (i % 4 == 0)) for i in range(9))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + corners + ramp * 3
    return profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": table})
