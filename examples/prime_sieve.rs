//! The sieve of Eratosthenes as a row of tasks: each prime has one, which lets none of its multiples
//! through.
//!
//! What to look for: the row grows while numbers go through it. A task is one call of `from_iter` on what
//! comes out of the task before it. Nobody stops them: when `primes` drops the last receiver, each task
//! finds that its channel is closed, and ends.
//!
//! Run it: `cargo run --example prime_sieve [COUNT]`.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use giambio::csp::from_iter;

fn main() {
    let count = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(50);
    for prime in primes(count) {
        println!("{prime}");
    }
}

fn primes(count: usize) -> Vec<u64> {
    giambio::run(|| {
        giambio::pool(|pool| {
            let mut numbers = from_iter(pool, 2.., 0);
            let mut primes = Vec::with_capacity(count);
            while primes.len() < count {
                let prime = numbers.recv().expect("there is always another one");
                let others = numbers.into_iter().filter(move |number| number % prime != 0);
                numbers = from_iter(pool, others, 0);
                primes.push(prime);
            }
            primes
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn runs() {
        super::main();
    }

    #[test]
    fn the_sieve_lets_primes_through() {
        let is_prime = |number: &u64| (2..*number).all(|divisor| !number.is_multiple_of(divisor));
        let expected: Vec<_> = (2..).filter(is_prime).take(100).collect();
        assert_eq!(super::primes(100), expected);
        assert_eq!(super::primes(0), []);
    }
}
