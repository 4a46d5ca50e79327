//! Registration: a descriptor's place in a worker's reactor, from the first wait to its close.
//!
//! Layer 8. Imports: park, sys. Never: who waits, and how.

use crate::park;
use crate::park::Remote;
use crate::park::Running;
use crate::park::SourceKey;
use crate::sys;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::ptr;
use std::sync::Arc;
use std::sync::Weak;

/// The place of a source in one worker's reactor.
#[derive(Debug)]
pub(super) struct Registration {
    pub(super) key: SourceKey,
    /// Says whose reactor it is: while this lives, no other reactor has its address. Weak: a socket
    /// that outlives its runtime must not keep the runtime's descriptors open.
    pub(super) remote: Weak<Remote>,
}

impl Registration {
    pub(super) fn new(me: Running, key: SourceKey) -> Self {
        Self { key, remote: Arc::downgrade(me.worker().reactor.remote()) }
    }

    #[inline]
    pub(super) fn is_with(&self, me: Running) -> bool {
        ptr::eq(self.remote.as_ptr(), Arc::as_ptr(me.worker().reactor.remote()))
    }
}

/// When the kernel forgets a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// In a system call for that.
    Now,
    /// In the `close` that follows at once, since there is no other descriptor of the same file. If there
    /// is one all the same, in a child between fork and exec, or one that a debugger has taken, the
    /// worker is woken in vain as long as that lives: the key's generation keeps such an event from
    /// whoever has the key next, and the kernel tells files apart that have the same number.
    ByClose,
}

/// Undoes a registration.
pub(super) fn leave_reactor(known: &Registration, fd: BorrowedFd<'_>, forget: Forget) {
    // With its runtime the reactor has gone, and the kernel has forgotten all that was in it.
    let Some(remote) = known.remote.upgrade() else { return };
    if remote.is_inherited() {
        return;
    }
    if forget == Forget::Now {
        remote.deregister(fd);
    }
    let here = park::worker_here(|worker| {
        let ours = Arc::ptr_eq(worker.reactor.remote(), &remote);
        if ours {
            worker.reactor.forget(known.key);
        }
        ours
    });
    if here != Some(true) {
        remote.send_home(known.key);
    }
}

/// Registers a descriptor with the running task's worker. The kernel registers a descriptor once, be it
/// for a source or for one wait; who comes second registers a duplicate.
#[cold]
pub(super) fn register_somehow(
    me: Running,
    fd: BorrowedFd<'_>,
) -> io::Result<(SourceKey, Option<OwnedFd>)> {
    let reactor = &me.worker().reactor;
    match reactor.register(fd) {
        Ok(key) => Ok((key, None)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let duplicate = fd.try_clone_to_owned().map_err(sys::name_limit)?;
            let key = reactor.register(duplicate.as_fd()).map_err(sys::name_limit)?;
            Ok((key, Some(duplicate)))
        }
        Err(error) => Err(sys::name_limit(error)),
    }
}

/// A registration for one wait, undone on drop.
pub(super) struct Once<'f> {
    me: Running,
    pub(super) key: SourceKey,
    fd: BorrowedFd<'f>,
    duplicate: Option<OwnedFd>,
}

impl<'f> Once<'f> {
    pub(super) fn new(me: Running, fd: BorrowedFd<'f>) -> io::Result<Self> {
        let (key, duplicate) = register_somehow(me, fd)?;
        Ok(Self { me, key, fd, duplicate })
    }
}

impl Drop for Once<'_> {
    fn drop(&mut self) {
        let reactor = &self.me.worker().reactor;
        reactor.remote().deregister(self.duplicate.as_ref().map_or(self.fd, AsFd::as_fd));
        reactor.forget(self.key);
    }
}
