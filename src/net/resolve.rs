//! Resolve: who knows the addresses of a host?
//!
//! Layer 8. Imports: io, unblock, park, task, sys. Never: who connects to them.
//!
//! Every lookup of a host name goes through `look_up`, and so through the calling task's [`Resolver`].
//! std's own conversions are not used outside of the helper thread: they would stop the worker.

use crate::io::Cancelled;
use crate::park;
use crate::park::Attempt;
use crate::park::Running;
use crate::sys;
use crate::sys::IpVersion;
use crate::task::task_local;
use crate::unblock::abandonable;
use std::io;
use std::net::SocketAddr;
use std::net::ToSocketAddrs;

task_local! {
    /// Who looks up names here; if nobody is bound, the system does.
    #[inherited]
    static RESOLVER: Box<dyn Resolver>;
}

/// Which addresses of a host are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// All of them, in the order in which they are to be tried.
    Any,
    /// Those of IPv4: the host's A records.
    V4,
    /// Those of IPv6: the host's AAAA records.
    V6,
}

/// Looks up the addresses of host names: see [`with_resolver`].
///
/// # Examples
///
/// A table in front of the system's resolver:
///
/// ```
/// use giambio::net::{Family, Resolver, SocketAddr, SystemResolver, ToSocketAddrs, with_resolver};
/// use std::io;
///
/// struct Table;
///
/// impl Resolver for Table {
///     fn resolve(&self, host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
///         match (host, family) {
///             ("database", Family::V6) => Ok(Vec::new()),
///             ("database", _) => Ok(vec![SocketAddr::from(([10, 0, 0, 7], port))]),
///             _ => SystemResolver.resolve(host, port, family),
///         }
///     }
/// }
///
/// giambio::run(|| {
///     with_resolver(Table, || {
///         let addrs: Vec<_> = "database:5432".to_socket_addrs()?.collect();
///         assert_eq!(addrs, [SocketAddr::from(([10, 0, 0, 7], 5432))]);
///         Ok::<(), io::Error>(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Resolver {
    /// The addresses of `host` that belong to `family`, each with `port`.
    ///
    /// Called in the task that asks; it may park, use sockets, and be cut by a cancellation. A name that
    /// it connects to itself is looked up through the same resolver, unless it says otherwise with
    /// [`with_resolver`]. `host` is never a numeric address.
    ///
    /// # Errors
    ///
    /// Whatever the caller is to see. A host without addresses of this family may be an error as well as
    /// an empty list.
    fn resolve(&self, host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>>;
}

/// The system's resolver, `getaddrinfo(3)`: what is used unless [`with_resolver`] says otherwise.
///
/// It reads the hosts file and asks the name servers as every program on this machine does. That blocks,
/// so it happens on a helper thread, while the task parks; outside of [`run`](crate::run) it blocks the
/// thread.
///
/// # Cancellation
///
/// A lookup is a checkpoint. One that is cancelled is left to itself: its answer is dropped when it comes.
/// While the task unwinds it is waited for.
///
/// # Errors
///
/// As for [`std::net::ToSocketAddrs`]; asked for one family only, the kind is `Other` where std has one
/// that it keeps to itself. `QuotaExceeded` if no helper thread is to be had.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve(&self, host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
        let host = host.to_owned();
        abandonable(move || match family {
            Family::Any => Ok((host, port).to_socket_addrs()?.collect()),
            Family::V4 => sys::look_up(&host, port, IpVersion::V4),
            Family::V6 => sys::look_up(&host, port, IpVersion::V6),
        })?
    }
}

/// Runs `f` with host names looked up by `resolver`: those of the calling task, and those of the tasks
/// that are spawned meanwhile.
///
/// For tests, and for programs with a cache or name servers of their own. Scopes nest. Outside of
/// [`run`](crate::run) it holds for the calling thread. Threads that are started inside do not inherit it.
///
/// # Cancellation
///
/// Not a checkpoint. Parks only if `f` does.
///
/// # Examples
///
/// See [`Resolver`].
pub fn with_resolver<T>(resolver: impl Resolver + 'static, f: impl FnOnce() -> T) -> T {
    RESOLVER.scope(Box::new(resolver), f)
}

/// Asks the calling task's resolver. A checkpoint, also if the resolver is none; who may not wait long
/// asks nobody.
pub(super) fn look_up(host: &str, port: u16, family: Family) -> io::Result<Vec<SocketAddr>> {
    give_up_if_cancelled(Running::checkpoint_or_report)?;
    let answer = match RESOLVER.try_with(|resolver| resolver.resolve(host, port, family)) {
        Ok(answer) => answer,
        Err(_) => SystemResolver.resolve(host, port, family),
    };
    // Where nothing may unwind, resolvers are waited for.
    give_up_if_cancelled(Running::raise_or_report)?;
    answer
}

fn give_up_if_cancelled(look: impl FnOnce(Running) -> Attempt) -> io::Result<()> {
    match park::current().map(look) {
        Some(Attempt::Once) => Err(io::Error::other(Cancelled)),
        Some(Attempt::Patient) | None => Ok(()),
    }
}
