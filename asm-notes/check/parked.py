"""Prints the backtrace of a parked task. `$core` points to its `giambio::task::Core`.

A parked coroutine's registers lie at its saved stack pointer: return address, rbx, rbp. They are put
where gdb looks for them, and put back afterwards. Needs a debug build; see asm-notes/tools.md.
"""

import gdb

coroutine = gdb.parse_and_eval("$core").dereference()["coroutine"]["value"]["Some"]["__0"]
saved = int(coroutine["inner"]["stack_ptr"]["Some"]["__0"]["__0"]["__0"])
words = bytes(gdb.selected_inferior().read_memory(saved, 24))
word = lambda index: int.from_bytes(words[8 * index:8 * index + 8], "little")

registers = ["rip", "rbx", "rbp", "rsp"]
before = {name: int(gdb.newest_frame().read_register(name)) for name in registers}
parked = dict(zip(registers, [word(0), word(1), word(2), saved + 24]))
try:
    for name in registers:
        gdb.execute("set $%s = %d" % (name, parked[name]))
    gdb.execute("bt")
finally:
    gdb.execute("frame 0", to_string=True)
    for name in registers:
        gdb.execute("set $%s = %d" % (name, before[name]))
