//! Look-out: whether a worker looks for letters for a while before it falls asleep.
//!
//! Layer 4. Imports: clock. Never: what is in a letter.
//!
//! A thread that talks with a task answers within a microsecond or so, and to fall asleep and be woken
//! takes some 50 µs where the core was halted meanwhile. Looking costs that time at most, and only while
//! letters come soon after one another. Where a look is in vain nevertheless, because the other one takes
//! longer, or has no core of its own to answer on, ever more letters pass before the next.

use crate::clock::Nanos;
use std::cell::Cell;

/// How long a look is: what it costs in vain is what it saves if not.
pub(super) const LOOK_FOR: Nanos = 50_000;

/// A letter that came so soon after the worker had fallen asleep, the wake-up included, would likely have
/// been met by a look.
const SOON: Nanos = 2 * LOOK_FOR;

/// Letters that come soon and are let pass after looks in vain: so many at most.
const MOST_PASSED: u32 = 64;

#[derive(Debug, Default)]
pub(super) struct LookOut {
    is_on: Cell<bool>,
    /// Letters to let pass before the next look.
    to_pass: Cell<u32>,
    /// How many were to pass after the last look in vain; 0 if the last one was not.
    passed: Cell<u32>,
}

impl LookOut {
    /// Whether to look before the worker falls asleep.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    /// A look has met a letter.
    pub(super) fn has_met_one(&self) {
        self.passed.set(0);
    }

    pub(super) fn was_in_vain(&self) {
        let passed = (self.passed.get() * 2).clamp(1, MOST_PASSED);
        self.passed.set(passed);
        self.to_pass.set(passed);
        self.is_on.set(false);
    }

    /// A letter has woken the worker, which had slept for so long.
    pub(super) fn was_woken_after(&self, slept: Nanos) {
        if slept >= SOON {
            return;
        }
        match self.to_pass.get().checked_sub(1) {
            Some(left) => self.to_pass.set(left),
            None => self.is_on.set(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::LookOut;
    use super::SOON;

    /// How many letters that come soon pass before the next look.
    fn letters_until_it_is_on(look_out: &LookOut) -> u32 {
        let mut count = 0;
        while !look_out.is_on() {
            look_out.was_woken_after(SOON - 1);
            count += 1;
        }
        count
    }

    #[test]
    fn only_a_letter_that_came_soon_begins_it() {
        let look_out = LookOut::default();
        look_out.was_woken_after(SOON);
        assert!(!look_out.is_on());
        look_out.was_woken_after(SOON - 1);
        assert!(look_out.is_on());
    }

    #[test]
    fn it_goes_on_as_long_as_it_meets_letters() {
        let look_out = LookOut::default();
        look_out.was_woken_after(0);
        (0..1000).for_each(|_| look_out.has_met_one());
        assert!(look_out.is_on());
    }

    #[test]
    fn after_each_look_in_vain_more_letters_pass_up_to_a_limit() {
        let look_out = LookOut::default();
        assert_eq!(letters_until_it_is_on(&look_out), 1);
        for expected in [1, 2, 4, 8, 16, 32, 64, 64, 64] {
            look_out.was_in_vain();
            assert!(!look_out.is_on());
            assert_eq!(letters_until_it_is_on(&look_out), expected + 1);
        }
    }

    #[test]
    fn after_a_look_that_met_a_letter_it_begins_anew() {
        let look_out = LookOut::default();
        (0..10).for_each(|_| look_out.was_in_vain());
        letters_until_it_is_on(&look_out);
        look_out.has_met_one();
        look_out.was_in_vain();
        assert_eq!(letters_until_it_is_on(&look_out), 2);
    }
}
