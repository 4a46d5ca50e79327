//! Pattern 6: a search engine, from one question after the other to replicas that race.

use crate::boring::ms;
use giambio::channel::after;
use giambio::channel::select;
use giambio::csp::from_iter;
use giambio::csp::map_unordered;
use std::time::Duration;

/// A server, and how many milliseconds it takes to answer.
#[derive(Clone, Copy)]
struct Server(&'static str, u64);

impl Server {
    fn ask(self, query: &str) -> String {
        giambio::sleep(ms(self.1));
        format!("{} result for '{query}'", self.0)
    }
}

const SERVERS: [Server; 3] = [Server("web", 50), Server("image", 20), Server("video", 110)];
/// For each of them another one, which may be faster.
const REPLICAS: [Server; 3] = [Server("web", 30), Server("image", 90), Server("video", 60)];

/// One after the other.
fn search_1(query: &str) -> Vec<String> {
    SERVERS.iter().map(|server| server.ask(query)).collect()
}

/// All at the same time.
fn search_2(query: &str) -> Vec<String> {
    giambio::pool(|pool| {
        let servers = from_iter(pool, SERVERS, 0);
        map_unordered(pool, servers, SERVERS.len(), |server| server.ask(query)).iter().collect()
    })
}

/// All at the same time, and none that is too slow.
fn search_2_1(query: &str) -> Vec<String> {
    giambio::pool(|pool| {
        let servers = from_iter(pool, SERVERS, 0);
        let answers = map_unordered(pool, servers, SERVERS.len(), |server| server.ask(query));
        let (limit, mut results) = (after(ms(80)), Vec::new());
        while results.len() < SERVERS.len() {
            select! {
                recv(answers) -> answer => results.extend(answer),
                recv(limit) -> _ => break,
            }
        }
        pool.cancel(); // nobody waits for the slow ones
        results
    })
}

/// Of two replicas the faster one answers; the other one is cancelled.
fn search_3(query: &str) -> Vec<String> {
    giambio::pool(|pool| {
        let pairs = from_iter(pool, SERVERS.into_iter().zip(REPLICAS), 0);
        let first =
            |(one, other): (Server, Server)| giambio::race(|| one.ask(query), || other.ask(query));
        map_unordered(pool, pairs, SERVERS.len(), first).iter().collect()
    })
}

/// How many results each version has, and how long it takes.
pub(crate) fn all_versions() -> Vec<(usize, Duration)> {
    println!("search:");
    let versions: [(_, fn(&str) -> _); 4] = [
        ("1.0, one by one", search_1),
        ("2.0, all at once", search_2),
        ("2.1, with a limit", search_2_1),
        ("3.0, with replicas", search_3),
    ];
    let run = |(name, search): (&str, fn(&str) -> Vec<String>)| {
        let start = giambio::clock();
        let results = search("giambio");
        let took = giambio::clock() - start;
        println!("  {name}: {} results in {} ms", results.len(), took.as_millis());
        (results.len(), took)
    };
    versions.into_iter().map(run).collect()
}

#[cfg(test)]
mod tests {
    use super::ms;

    #[test]
    fn each_version_is_faster_and_the_last_one_is_complete() {
        let results = giambio::testing::run_virtual(super::all_versions);
        assert_eq!(results, [(3, ms(180)), (3, ms(110)), (2, ms(80)), (3, ms(60))]);
    }
}
