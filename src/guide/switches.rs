//! Switches: which calls let other tasks run, and at which of them can a task be cancelled?
//!
//! Layer 9. Imports: nothing of this crate. Never: code.
//!
//! No blocking call, no switch: between two calls of this list nobody else runs on the thread, and what
//! a task does to a `Cell` or a `RefCell` is not seen half done. [`task::no_switch`](crate::task::no_switch)
//! turns that from a habit into a check: it panics, with the call's name, if something inside would
//! switch.
//!
//! A **checkpoint** is a call at which a pending cancellation is raised, even if the call could complete
//! at once, and at which a task that has passed 64 of them in a row yields, so that one whose socket is
//! always ready does not starve the others. A call is a checkpoint always or never.
//!
//! | call | may switch | checkpoint | while the task unwinds |
//! |---|---|---|---|
//! | [`yield_now`](crate::yield_now) | always | yes | switches |
//! | [`sleep`](crate::sleep), [`sleep_until`](crate::sleep_until), [`sleep_forever`](crate::sleep_forever) | yes | yes | really sleeps |
//! | the end of [`pool`](crate::pool()), [`try_pool`](crate::try_pool()), [`cancellable`](crate::cancellable), [`skip_after`](crate::skip_after), [`with_timeout`](crate::with_timeout) | while children live | yes, after the last child | really waits |
//! | [`join`](crate::join), [`join_all`](crate::join_all), [`race`](crate::race), [`race_all`](crate::race_all) | yes | at their end, since they are pools | really wait |
//! | [`Task::join`](crate::Task::join) | until the task has ended | yes | really waits |
//! | [`Pool::start`](crate::Pool::start) | until the task has reported | yes | really waits |
//! | `next` of [`Pool::map`](crate::Pool::map) and [`Pool::map_unordered`](crate::Pool::map_unordered) | yes | yes | really waits |
//! | `read`, `write`, their vectored forms, `peek`, `accept`, `next` of [`Incoming`](crate::net::Incoming), `connect` (also [by name](crate::net::HappyEyeballs)), `connect_timeout`; not [`TcpListener::bind`](crate::net::TcpListener::bind) to an address, nor `flush` | yes | yes | one attempt, then an error of kind `Other` |
//! | host names in [`to_socket_addrs`](crate::net::ToSocketAddrs) and [`TcpListener::bind`](crate::net::TcpListener::bind) and of [`UdpSocket`](crate::net::UdpSocket), [`SystemResolver`](crate::net::SystemResolver); not numeric addresses | yes | yes | an error of kind `Other` |
//! | [`UdpSocket`](crate::net::UdpSocket)'s `recv`, `recv_from`, `peek`, `peek_from`, `send`, `send_to`; not its `bind`, nor its `connect` | yes | yes | one attempt, then an error of kind `Other` |
//! | `readable` and `writable` of sockets and of [`io::Async`](crate::io::Async) | yes | yes | one look, then an error of kind `Other` |
//! | the same of [`UnixStream`](crate::os::unix::net::UnixStream) and [`UnixListener`](crate::os::unix::net::UnixListener), whose `connect` waits only while the backlog is full; their `readable` and `writable` | yes | yes | one attempt, then an error of kind `Other` |
//! | `recv`, `recv_from`, `send`, `send_to`, `send_to_addr`, `readable`, `writable` of [`UnixDatagram`](crate::os::unix::net::UnixDatagram); not `connect` | yes | yes | one attempt, then an error of kind `Other` |
//! | [`net::serve`](crate::net::serve()), [`Server::serve`](crate::net::Server::serve) | yes | yes | serves who waits already, then an error of kind `Other` |
//! | [`lowlevel::wait_readable`](crate::lowlevel::wait_readable), [`lowlevel::wait_writable`](crate::lowlevel::wait_writable) | yes | yes | one look, then an error of kind `Other` |
//! | reads and writes of [`io::pipe`](crate::io::pipe()), [`io::Async`](crate::io::Async), [`io::stdin`](crate::io::stdin) and [`io::stdout`](crate::io::stdout); [`Signals::recv`](crate::signal::Signals::recv), [`ctrl_c`](crate::signal::ctrl_c) | yes | yes | one attempt, then an error of kind `Other` |
//! | `lock` of [`io::Stdin`](crate::io::Stdin) and [`io::Stdout`](crate::io::Stdout) | while another has it | yes | really waits |
//! | [`io::copy_bidirectional`](crate::io::copy_bidirectional) | yes | yes, with its reads and writes and at its end | the caller's direction gives up as a read does; the other one really waits |
//! | [`Parker::park`](crate::lowlevel::Parker::park), [`Parker::park_timeout`](crate::lowlevel::Parker::park_timeout) | without a token | yes | really waits |
//! | [`Event::wait`](crate::sync::Event::wait) | until it is set | yes | really waits |
//! | [`Semaphore::acquire`](crate::sync::Semaphore::acquire) | without a permit | yes | really waits |
//! | [`Mutex::lock`](crate::sync::Mutex::lock), [`RwLock::read`](crate::sync::RwLock::read), [`RwLock::write`](crate::sync::RwLock::write), [`Once::call_once`](crate::sync::Once::call_once), [`OnceLock::get_or_init`](crate::sync::OnceLock::get_or_init), [`LazyLock::force`](crate::sync::LazyLock::force) and their kin | while another has it, or initialises it | no: a destructor that locks must not be cut in half | really wait |
//! | [`Once::wait`](crate::sync::Once::wait), [`Once::wait_force`](crate::sync::Once::wait_force), [`OnceLock::wait`](crate::sync::OnceLock::wait) | until it has run | yes | really wait |
//! | `lock_interruptibly`, `lock_timeout` of [`Mutex`](crate::sync::Mutex), and their twins of [`RwLock`](crate::sync::RwLock) | while another has it | yes | really wait |
//! | [`Condvar::wait`](crate::sync::Condvar::wait) and its kin, [`Barrier::wait`](crate::sync::Barrier::wait) | yes | yes; the lock is taken again in any case but a cancellation | really wait |
//! | `send`, `recv`, their timeouts and the iterators of [`channel`](crate::channel) and [`sync::mpsc`](crate::sync::mpsc) | without room, without a message | yes | one attempt, then as if the other side were gone |
//! | `try_send`, `try_recv`, `select!` with `default` | only while a `select!` makes the message | no | one attempt |
//! | [`select!`](crate::channel::select!), [`Select`](crate::channel::Select) | yes | yes | one attempt, then one of the operations ends with its error; really waits if none has one |
//! | [`thread::park`](crate::thread::park()), [`thread::park_timeout`](crate::thread::park_timeout) | without a token | yes | really wait |
//! | `join` of [`thread::JoinHandle`](crate::thread::JoinHandle) and [`thread::ScopedJoinHandle`](crate::thread::ScopedJoinHandle), the end of [`thread::scope`](crate::thread::scope()) | until they have ended | yes | really wait |
//! | [`unblock`](crate::unblock()), [`try_unblock`](crate::try_unblock) | always, until the helper thread has made the call | yes; not cut once the call has begun | really wait |
//! | [`testing::settle`](crate::testing::settle), [`Sequencer::step`](crate::testing::Sequencer::step) | yes | yes | really waits |
//! | [`testing::assert_checkpoint`](crate::testing::assert_checkpoint), [`testing::Cut::run`](crate::testing::Cut::run) | as their closures do | at their end | as their closures do |
//! | [`finally`](crate::finally), [`shield`](crate::shield), [`shield_for`](crate::shield_for), [`on_big_stack`](crate::on_big_stack), [`net::with_resolver`](crate::net::with_resolver) | as their closures do | no | as their closures do |
//!
//! What really waits while its task unwinds holds up cancellations: std counts panics by thread, so as long
//! as a task waits in a destructor that an unwind runs, no other one that begins to wait on this thread
//! can be told from one that unwinds, and none of them is cut. What a destructor waits for must not
//! depend on a cancellation, such as that of a race's loser.
//!
//! Everything else returns without a switch, among that: every `spawn` (the new task runs when its parent
//! waits; [`Pool::start`](crate::Pool::start) is the one that does wait), every `cancel`,
//! [`Unparker::unpark`](crate::lowlevel::Unparker::unpark), [`Event::trigger`](crate::sync::Event::trigger),
//! [`Stopper::stop`](crate::net::Stopper::stop), dropping a permit, a handle or a socket, [`clock`](crate::clock()), the getters and setters of sockets,
//! [`task::current`](crate::task::current), [`debug`](crate::debug) as a whole, and `println!`, which
//! blocks the thread like everything that is std's own: `std::fs`, `std::process`,
//! `std::sync::Mutex`, the `to_socket_addrs` of std's own trait, [`io::stderr`](crate::io::stderr); in
//! [`unblock`](crate::unblock()) that blocks a helper thread instead.
//!
//! Under [`task::no_unwind`](crate::task::no_unwind), checkpoints do not raise: calls that return an
//! [`io::Result`](std::io::Result) report a pending cancellation as an error of kind `Other`
//! ([`io::Cancelled`](crate::io::Cancelled)), the others go on waiting, and so does `try_unblock`.
//!
//! Outside of [`run`](crate::run) the calls that have a meaning there block the thread: sockets, `sleep`,
//! locks, channels, `thread`, `Parker`, `Event`, `Semaphore`, `lowlevel`, pipes, standard input and output, signals; `unblock` calls
//! its closure right there.
