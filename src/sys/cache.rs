//! Cache: a hint to the processor.
//!
//! Layer 0. Imports: nothing of this crate. Never: what the bytes are.

/// Has the line at `address` fetched, if there is one; on other processors than x86-64, nothing.
#[inline(always)]
pub(crate) fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction touches no memory that the program can see, and never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
