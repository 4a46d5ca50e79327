//! asm-notes/abi.md: the floating-point control words are not saved by a switch.

#![expect(clippy::print_stdout, reason = "the report of a check")]

/// The x86-64 rounding mode, as MXCSR and the x87 control word hold it.
#[cfg(target_arch = "x86_64")]
mod control {
    use std::arch::asm;

    /// MXCSR's rounding bits: 0 is to nearest, 1 is down.
    pub(crate) fn sse_rounding() -> u32 {
        let mut word = 0u32;
        // SAFETY: stores four bytes to a local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
        word >> 13 & 3
    }

    pub(crate) fn set_sse_rounding(mode: u32) {
        let word = 0x1f80 | mode << 13; // all exceptions masked, as every process begins
        // SAFETY: loads a valid control word; no floating-point code runs before it is set back.
        unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack, readonly)) };
    }

    /// The x87 control word's rounding bits.
    pub(crate) fn x87_rounding() -> u16 {
        let mut word = 0u16;
        // SAFETY: stores two bytes to a local.
        unsafe { asm!("fnstcw word ptr [{}]", in(reg) &raw mut word, options(nostack)) };
        word >> 10 & 3
    }

    pub(crate) fn set_x87_rounding(mode: u16) {
        let word = 0x037f | mode << 10;
        // SAFETY: loads a valid control word; no floating-point code runs before it is set back.
        unsafe { asm!("fldcw word ptr [{}]", in(reg) &raw const word, options(nostack, readonly)) };
    }
}

#[cfg(target_arch = "x86_64")]
fn main() {
    let seen = std::cell::Cell::new((0, 0));
    giambio::run(|| {
        giambio::pool(|pool| {
            pool.spawn(|| {
                control::set_sse_rounding(1);
                control::set_x87_rounding(1);
                giambio::yield_now();
                control::set_sse_rounding(0);
                control::set_x87_rounding(0);
            });
            pool.spawn(|| seen.set((control::sse_rounding(), control::x87_rounding())));
        });
    });
    println!("another task's rounding, as (SSE, x87): {:?}; 0 is to nearest, 1 down", seen.get());
    assert_eq!(seen.get(), (1, 1), "a switch saves neither word");
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("nothing to check on this architecture");
}

#[test]
fn holds() {
    main();
}
