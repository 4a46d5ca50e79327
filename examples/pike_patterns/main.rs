//! Rob Pike's concurrency patterns ("Go Concurrency Patterns", 2012), as tasks and channels of giambio.
//!
//! What to look for: the programs are Go's, with three differences. Tasks live in a pool, so none is left
//! behind: a speaker notices that nobody listens, or the pool waits for it. Who loses a race is
//! cancelled, not forgotten. And the fan-in, which is written by hand in Go, is a call of `csp`. The
//! tests run the same functions on the virtual clock, where they take no time.
//!
//! Run it: `cargo run --example pike_patterns`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

mod boring;
mod daisy_chain;
mod multiplexing;
mod quit;
mod search;
mod timeout;

fn main() {
    giambio::run(|| {
        boring::generator();
        multiplexing::fan_in();
        multiplexing::restored_sequence();
        timeout::each_message();
        timeout::whole_conversation();
        quit::round_trip();
        daisy_chain::whisper(10_000);
        search::all_versions();
    });
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs() {
        super::main();
    }
}
