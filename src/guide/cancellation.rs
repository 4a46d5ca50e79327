//! Cancellation: how is work stopped, and how is it cleaned up?
//!
//! Layer 9. Imports: nothing of this crate. Never: code.
//!
//! A cancellation belongs to a *scope*, a stretch of code with the tasks that it starts. Whoever cancels
//! the scope stops all of it; the tasks inside need not know. At its next
//! [checkpoint](crate::guide::switches) each of them unwinds, destructors and all, to the scope, which
//! catches. It is no error of the task's: nothing is logged, no mutex of ours is poisoned.
//!
//! # Time out a call
//!
//! Any call, however deep, however many more it makes.
//!
//! ```
//! use std::io::{self, Read};
//! use std::net::SocketAddr;
//! use std::time::Duration;
//!
//! fn banner(address: SocketAddr) -> io::Result<String> {
//!     giambio::with_timeout(Duration::from_secs(5), |_| {
//!         let mut stream = giambio::net::TcpStream::connect(address)?;
//!         let mut text = String::new();
//!         stream.read_to_string(&mut text)?;
//!         Ok(text)
//!     })? // `TooSlow` converts into an error of kind `TimedOut`
//! }
//! # let _ = banner;
//! ```
//!
//! [`skip_after`](crate::skip_after) gives `None` where being too slow is not a failure. A child that is
//! still running counts as well: the timeout cuts it, and says so. Timeouts nest; each answers for
//! itself, whichever passes first. [`current_deadline`](crate::current_deadline) tells how long is left.
//!
//! A deadline can be moved while its tasks wait:
//!
//! ```
//! use std::time::Duration;
//!
//! giambio::testing::run_virtual(|| {
//!     let start = giambio::clock();
//!     giambio::skip_after(Duration::from_secs(10), |pool| {
//!         pool.spawn(move || giambio::sleep_forever());
//!         giambio::sleep(Duration::from_secs(9));
//!         pool.set_deadline(Some(giambio::clock() + Duration::from_secs(10))); // some progress
//!     });
//!     assert_eq!(giambio::clock() - start, Duration::from_secs(19));
//! });
//! ```
//!
//! # Stop a subtree
//!
//! [`Pool::cancel`](crate::Pool::cancel) stops a pool's children, [`Task::cancel`](crate::Task::cancel)
//! one task and what it has started. A [`Canceller`](crate::Canceller) does the first from anywhere, also
//! from a signal's thread. `cancel_because` leaves a word for whoever finds the task gone.
//!
//! In a plain [`pool`](crate::pool()) the body goes on, since it has to return a value. A body that is to be
//! cut lives in a [`cancellable`](crate::cancellable), whose type says so:
//!
//! ```
//! let result = giambio::run(|| {
//!     giambio::cancellable(|pool| {
//!         let canceller = pool.canceller();
//!         std::thread::spawn(move || canceller.cancel()); // Ctrl-C, say
//!         giambio::sleep_forever()
//!     })
//! });
//! assert!(result.is_none());
//! ```
//!
//! Do not leave it to one of the tasks to notice a flag: a task that waits looks at nothing.
//!
//! # Clean up
//!
//! What needs no waiting goes into destructors; they run. While a task unwinds its I/O fails at once, and
//! what a destructor cannot do, because it has to wait or to send, is done in
//! [`finally`](crate::finally), whose second closure is shielded:
//!
//! ```
//! use std::cell::Cell;
//! use std::time::Duration;
//!
//! giambio::testing::run_virtual(|| {
//!     let said_goodbye = Cell::new(false);
//!     giambio::skip_after(Duration::from_secs(1), |_| {
//!         giambio::finally(
//!             || giambio::sleep_forever(),
//!             || {
//!                 // No longer than this, whatever the other side does.
//!                 giambio::shield_for(Duration::from_secs(5), || {
//!                     giambio::sleep(Duration::from_secs(1)); // a farewell over the network
//!                     said_goodbye.set(true);
//!                 });
//!             },
//!         );
//!     });
//!     assert!(said_goodbye.get());
//! });
//! ```
//!
//! # Cancel safely in loops
//!
//! A primitive call either completes or has done nothing: a message is received or still there, a socket
//! accepted or still in the backlog, a permit taken or not. So a loop that is cut between two calls has
//! lost nothing but its own locals; keep what must survive outside of the scope.
//!
//! ```
//! use std::time::Duration;
//!
//! giambio::testing::run_virtual(|| {
//!     let mut done = Vec::new(); // outlives the cut
//!     giambio::skip_after(Duration::from_secs(5), |_| {
//!         for n in 0.. {
//!             giambio::sleep(Duration::from_secs(2));
//!             done.push(n);
//!         }
//!     });
//!     assert_eq!(done, [0, 1]);
//! });
//! ```
//!
//! `catch_unwind` around a step of a loop catches cancellations too, and they come again at the next
//! checkpoint, and the next: such a loop never ends. After the hundredth the log names the task. Let
//! pools do it: [`spawn_isolated`](crate::Pool::spawn_isolated) hands a panic to `join` and lets a
//! cancellation through.
//!
//! # What composite calls lose
//!
//! `read_exact`, `read_line`, `read_to_end`, `write_all`, `io::copy` and a `BufReader` make several
//! primitive calls. Cut in the middle, they do not say how far they came: what was read is gone with
//! their buffer, what was written is written. After a timeout inside of such a call the stream is good
//! for nothing but to be closed. Where that is not good enough, call `read` and `write` yourself, keep the
//! position outside, and put only the single call under the timeout.
//!
//! A crate that speaks a protocol over your stream is such a call too. A cancellation passes through it
//! like a panic, and what the crate was about to change may stay half changed: a `WebSocket` of
//! tungstenite 0.30 that was cut in a `read` holds bytes that have never come. Drop what was cut. If the
//! session has to live on, let its stream report the cancellation as an error, which every such crate
//! expects; it is raised at the next checkpoint outside.
//!
//! ```
//! use giambio::net::TcpStream;
//! use giambio::task::no_unwind;
//! use std::io::{self, Read, Write};
//!
//! /// For sessions that go on after a timeout.
//! struct Reporting(TcpStream);
//!
//! impl Read for Reporting {
//!     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
//!         no_unwind(|| self.0.read(buf)) // fails with `giambio::io::Cancelled`
//!     }
//! }
//!
//! impl Write for Reporting {
//!     fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
//!         no_unwind(|| self.0.write(buf))
//!     }
//!
//!     fn flush(&mut self) -> io::Result<()> {
//!         Ok(())
//!     }
//! }
//! ```
//!
//! A crate that calls you while it holds a `std::sync::Mutex` must find neither a wait nor a cancellation
//! there: the one would stop the thread, the other poison the lock. ureq 3.5 asks a transport's `is_open`
//! that way. [`task::no_switch`](crate::task::no_switch) around such a call shows where it switches.
//!
//! # Shut down gracefully
//!
//! Stop accepting, give those that are served a deadline, and cut whoever misses it.
//!
//! ```
//! use std::cell::Cell;
//! use std::time::Duration;
//!
//! fn serve(stop: &giambio::sync::Event, served: &Cell<u32>) {
//!     giambio::pool(|connections| {
//!         giambio::cancellable(|acceptor| {
//!             acceptor.spawn(move || {
//!                 stop.wait();
//!                 acceptor.cancel();
//!             });
//!             loop {
//!                 giambio::sleep(Duration::from_secs(1)); // in place of `listener.accept()`
//!                 connections.spawn(|| {
//!                     giambio::sleep(Duration::from_secs(3));
//!                     served.set(served.get() + 1);
//!                 });
//!             }
//!         });
//!         connections.set_deadline(Some(giambio::clock() + Duration::from_secs(2)));
//!     });
//! }
//!
//! giambio::testing::run_virtual(|| {
//!     let (stop, served) = (giambio::sync::Event::new(), Cell::new(0));
//!     giambio::pool(|pool| {
//!         pool.spawn(|| serve(&stop, &served));
//!         giambio::sleep(Duration::from_millis(3500));
//!         stop.trigger(()).unwrap();
//!     });
//!     // Of three the first two were done by then; the third needed longer than it was given.
//!     assert_eq!(served.get(), 2);
//! });
//! ```
//!
//! # Test it
//!
//! [`testing::run_virtual`](crate::testing::run_virtual) makes hours pass in no time,
//! [`testing::cancelled_at_every_checkpoint`](crate::testing::cancelled_at_every_checkpoint) cuts a
//! program at each of its checkpoints in turn, [`testing::explore`](crate::testing::explore) runs it in
//! many orders.
