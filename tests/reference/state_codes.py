"""The codes of 8-bit optimizer states by their definition in docs/numerics.md, in NumPy: prints state_codes.json, which
tests/base/state_codes.cpp reads.  usage: state_codes.py > state_codes.json

values: the f32 bits of each code. stochastic: by the exponent field of x, 1 to 254, a hash of the codes of 4096 numbers x with
16 random words each, under the scale 2^0: the sum over i = 16 (number) + (word) of (code + 1) mix(i), mod 2^64."""
import json

import numpy as np

# bias of the exponent, whether there is a sign, exponent of the least normal number, first code above zero, largest code
FORMATS = {"e4m3": (7, True, -6, 0, 0x7E), "e5m3": (31, False, -30, 1, 0xFF)}


def mix(x):
    """splitmix64"""
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


WORDS = (mix(np.arange(16, dtype=np.uint64)) & np.uint64(0xFFFFFFFF)).astype(np.int64)
WORDS[:2] = 0, 0xFFFFFFFF
MANTISSAS = (np.arange(4096, dtype=np.int64) << 11) + np.arange(4096, dtype=np.int64) * 1237 % 2048


def value(name, code):
    bias, signed, _, _, largest = FORMATS[name]
    sign = -1.0 if signed and code >= 128 else 1.0
    magnitude = code & 0x7F if signed else code
    if magnitude > largest:
        return np.float32("nan")
    exponent, mantissa = magnitude >> 3, magnitude & 7
    return np.float32(sign * (np.ldexp(mantissa, 1 - bias - 3) if exponent == 0 else np.ldexp(8 + mantissa, exponent - bias - 3)))


def codes(name, exponent, mantissas, words):
    """of the numbers 1.mantissa * 2^exponent, a row each"""
    _, _, least, first, largest = FORMATS[name]
    dropped = 20 + max(0, least - exponent)
    made = np.zeros((len(mantissas), len(words)), np.int64)
    if dropped <= 31:
        made = (max(0, exponent - least) << 3) + (((mantissas[:, None] | 1 << 23) + words[None, :] % (1 << dropped)) >> dropped)
    return np.clip(made, first, largest)


def hashed(made):
    weights = mix(np.arange(made.size, dtype=np.uint64))
    return format(int(((made.reshape(-1).astype(np.uint64) + np.uint64(1)) * weights).sum(dtype=np.uint64)), "016x")


def main():
    out = {}
    for name in FORMATS:
        out[name] = {
            "values": [int(value(name, code).view(np.uint32)) for code in range(256)],
            "stochastic": [hashed(codes(name, field - 127, MANTISSAS, WORDS)) for field in range(1, 255)],
        }
    print(json.dumps(out))


if __name__ == "__main__":
    main()
