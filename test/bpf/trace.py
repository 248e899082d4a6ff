"""Takes what a ring buffer of traces holds out of it, and prints one record a line in hexadecimal digits."""

import ctypes
import sys

bpf = ctypes.CDLL("libbpf.so.1")
SAMPLE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
bpf.ring_buffer__new.restype = ctypes.c_void_p
bpf.ring_buffer__new.argtypes = [ctypes.c_int, SAMPLE, ctypes.c_void_p, ctypes.c_void_p]
bpf.ring_buffer__consume.argtypes = [ctypes.c_void_p]


@SAMPLE
def show(_, data, size):
    print(ctypes.string_at(data, size).hex())
    return 0


ring = bpf.ring_buffer__new(bpf.bpf_obj_get(sys.argv[1].encode()), show, None, None)
if not ring or bpf.ring_buffer__consume(ring) < 0:
    raise SystemExit(f"{sys.argv[1]} can't be read")
