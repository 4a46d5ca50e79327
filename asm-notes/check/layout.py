"""Draws the stack of the task that stops at a breakpoint, frame by frame.

gdb -q -batch -ex 'break after_the_switch' -ex run -x asm-notes/check/layout.py PROGRAM
"""

import re

import gdb

frame = gdb.newest_frame()
rows = []
while frame is not None:
    name = frame.name() or ""
    if frame.type() != gdb.INLINE_FRAME:
        rows.append((int(frame.read_register("rsp")), name))
    if "stack_init_trampoline" in name or frame.type() == gdb.SIGTRAMP_FRAME:
        parent_link = int(frame.read_register("rbp"))
        break
    frame = frame.older()

# A frame reaches from its stack pointer up to that of its caller.
base = parent_link + 16


def word_at(address):
    return int.from_bytes(bytes(gdb.selected_inferior().read_memory(address, 8)), "little")


print("base at page offset %d; the parent link at base - 16 holds %#x" % (
    base % 4096,
    word_at(parent_link),
))
print("the tenant word, at the base, holds %#x" % word_at(base))
print("%8s %6s  %s" % ("to base", "bytes", "frame"))
print("%8d %6d  %s" % (16, 16, "initial function, parent link (the Yielder)"))
highs = [low for low, _ in rows[1:]] + [parent_link]
for (low, name), high in reversed(list(zip(rows, highs))):
    print("%8d %6d  %s" % (base - low, high - low, re.sub(r"<.*>", "<..>", name)))
