//! Stack sizes: how many bytes does a task need?
//!
//! Layer 9. Imports: nothing of this crate. Never: code.
//!
//! A stack does not grow: a task keeps the size that it was spawned with. Sizes are usable bytes.
//!
//! | stack of | size | unless |
//! |---|---|---|
//! | a task, in a release build | 256 KiB | [`Builder::stack_size`] or [`TaskBuilder::stack_size`] says otherwise |
//! | a task, if giambio is built with `debug_assertions` | 1 MiB | they do |
//! | `run`'s closure | 8 MiB, as much as the main thread of a program on Linux | never |
//! | a call of [`on_big_stack`] | what it asks for | never |
//!
//! Everything in the [tables](#what-calls-need) below fits into the defaults. A task needs more if it
//! recurses deeply or keeps large arrays in its frames. Less than the default saves address space and
//! page tables, and no other memory: see [what a size costs](#what-a-size-costs).
//!
//! [`Builder::stack_size`]: crate::Builder::stack_size
//! [`TaskBuilder::stack_size`]: crate::TaskBuilder::stack_size
//! [`on_big_stack`]: crate::on_big_stack
//!
//! # Choosing a size
//!
//! **1. Measure.** Run the task on a fresh runtime, and at its end ask [`task::stack_usage`] how much
//! of its stack was touched:
//!
//! ```
//! fn serve(request: &str) -> String {
//!     format!("{request:?} has {} bytes", request.len())
//! }
//!
//! let high_water = giambio::run(|| {
//!     giambio::pool(|pool| {
//!         let task = pool.spawn(|| {
//!             serve("GET /");
//!             giambio::task::stack_usage().unwrap().high_water
//!         });
//!         task.join().unwrap()
//!     })
//! });
//! assert!(high_water <= 32 << 10, "{high_water} bytes");
//! ```
//!
//! The runtime has to be fresh because a stack that is used again still has the pages that an earlier
//! task touched. Use the deepest input that you accept, and let the task fail as well: with
//! `RUST_BACKTRACE=1` a panic needs 22 KiB below the place where it happens. Measure the build that
//! you run: without optimisation the same code needs several times as much.
//!
//! **2. Leave room.** Twice what was measured is a good start: another compiler, an update of a
//! dependency or a signal handler may take more than today's build on your machine. The JSON of the
//! second table below took 32 KiB in one release build and 44 in the next, after changes elsewhere in
//! the program.
//!
//! **3. Set it,** for all tasks of a runtime or for one. The size is rounded up to a power of two,
//! from 32 KiB to 1 GiB:
//!
//! ```
//! let mut runtime = giambio::Builder::new().stack_size(64 << 10).build()?;
//! runtime.run(|| {
//!     giambio::pool(|pool| {
//!         pool.spawn(|| assert_eq!(giambio::task::stack_usage().unwrap().size, 64 << 10));
//!         giambio::TaskBuilder::new()
//!             .stack_size(600 << 10)
//!             .spawn(pool, || assert_eq!(giambio::task::stack_usage().unwrap().size, 1 << 20));
//!     });
//! });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! **4. Keep the rare deep call apart.** If one call of many needs much more than the rest, give that
//! call a stack of its own with [`on_big_stack`]. It may wait and be cancelled like the rest of the
//! task:
//!
//! ```
//! fn deep(levels: u32) -> u32 {
//!     if levels == 0 { 0 } else { 1 + deep(levels - 1) }
//! }
//!
//! giambio::run(|| {
//!     giambio::pool(|pool| {
//!         pool.spawn(|| {
//!             let reached = giambio::on_big_stack(64 << 20, || deep(100_000));
//!             assert_eq!(reached, 100_000);
//!         });
//!     });
//! });
//! ```
//!
//! **5. Where the input decides how deep a recursion goes,** limit its depth, or have it ask
//! [`task::remaining_stack`] and go on elsewhere:
//!
//! ```
//! fn nested(text: &mut std::str::Chars<'_>) -> usize {
//!     // 32 KiB are enough for one level and all that it calls.
//!     if giambio::task::remaining_stack().is_some_and(|left| left < 32 << 10) {
//!         return giambio::on_big_stack(1 << 20, || nested(text));
//!     }
//!     match text.next() {
//!         Some('(') => 1 + nested(text),
//!         _ => 0,
//!     }
//! }
//!
//! let text = "(".repeat(50_000);
//! let depth = giambio::run(|| {
//!     giambio::pool(|pool| pool.spawn(|| nested(&mut text.chars())).join().unwrap())
//! });
//! assert_eq!(depth, 50_000);
//! ```
//!
//! Large values belong on the heap. A `[u8; 8192]` that is moved into a task's closure lies several
//! times in the frames of `spawn` and of the task (see the tables); a `vec![0; 8192]` only costs its
//! three words there.
//!
//! [`task::stack_usage`]: crate::task::stack_usage
//! [`task::remaining_stack`]: crate::task::remaining_stack
//!
//! # What calls need
//!
//! KiB below the calling frame, rounded up to a tenth: the first call or the second, whichever took
//! more. 0.5 means "not more". "Debug" is a build without optimisation. A task itself has 0.2 (debug:
//! 1.4) before its closure's first frame. Calls made one after another use the same bytes; only those
//! that are made inside of one another add up.
//!
//! | | release | debug |
//! |---|--:|--:|
//! | `yield_now` | 0.5 | 0.8 |
//! | `sleep` | 0.5 | 1.5 |
//! | `pool` with `spawn` and `join` | 1.7 | 7.6 |
//! | `with_timeout` around a `yield_now` | 1.2 | 4.0 |
//! | `skip_after` that cancels its body: the unwind included | 6.3 | 8.6 |
//! | `TcpListener::bind`, `accept`, `TcpStream::connect` | 2.3 | 6.0 |
//! | `TcpStream`: `write`, and a `read` that waits | 0.5 | 2.3 |
//! | `on_big_stack`, of the stack that calls it | 3.1 | 2.1 |
//! | `std::io::copy` from a `TcpStream` (its buffer of 8 KiB lies on the stack) | 8.7 | 10.8 |
//! | `println!`, `eprintln!` | 0.6 | 0.7 |
//! | `log::info!` with env_logger | 3.4 | 8.2 |
//! | `format!` of an integer | 0.6 | 0.9 |
//! | `format!` of an `f64` | 0.8 | 1.2 |
//! | `format!` of an `f64` with 400 decimals | 2.8 | 3.2 |
//! | `{:#?}` of a nested value | 2.0 | 3.5 |
//! | `HashMap`, 1,000 entries | 0.8 | 3.5 |
//! | `BTreeMap`, 1,000 entries | 5.8 | 14.7 |
//! | `sort` of 1,000 numbers | 5.6 | 14.6 |
//! | `sort_unstable` of 1,000 numbers | 0.8 | 4.8 |
//! | `env::var` | 0.8 | 0.9 |
//! | `fs::read_to_string`, `fs::write`, `read_dir` | 1.1 | 1.2 |
//! | `Command::status`, `Command::output` | 2.0 | 2.2 |
//! | `std::thread::spawn` and `join` | 3.9 | 5.0 |
//! | name resolution by std: `localhost` | 4.8 | 4.9 |
//! | name resolution by std that asks a name server, found or not | 12.2 | 12.2 |
//! | a panic, caught, without a backtrace | 2.3 | 2.5 |
//! | a panic, caught, with `RUST_BACKTRACE=1` | 21.7 | 21.9 |
//! | a recursive-descent parser of nested lists, each level | 0.2 | 0.5 |
//! | `spawn` of a closure that owns a `[u8; 8192]`, in the parent | 17.6 | 109.8 |
//! | the same with 16 KiB | 33.6 | 213.8 |
//! | the same with 24 KiB | 49.6 | 317.8 |
//! | a signal handler that does nothing, without `SA_ONSTACK` | 3.2 | 3.2 |
//!
//! Whole tasks, in KiB and whole pages:
//!
//! | task | release | debug |
//! |---|--:|--:|
//! | nothing | 4 | 4 |
//! | a closure that owns a `[u8; 8192]` | 12 | 52 |
//! | the same with 16 KiB | 20 | 100 |
//! | the same with 24 KiB | 28 | 148 |
//! | TLS server, rustls 0.23.46 with ring 0.17.14: set up, handshake, 64 KiB sent | 20 | 56 |
//! | TLS client, the same: set up, handshake, certificate checked, 64 KiB received | 20 | 56 |
//! | TLS server, rustls with aws-lc-rs 1.19.0 | 28 | 68 |
//! | TLS client, rustls with aws-lc-rs (TLS 1.3 exchanges keys by X25519MLKEM768) | 36 | 56 |
//! | a self-signed certificate, rcgen 0.14.10 with aws-lc-rs | 24 | 64 |
//! | WebSocket handshake and an echo of 64 KiB, tungstenite 0.30.0 | 12 | 28 |
//! | JSON nested 127 deep, serde_json 1.0.154 (it refuses 128) | 44 | 204 |
//! | a regular expression with Unicode classes, compiled and matched, regex 1.13.2 | 24 | 124 |
//!
//! For TLS these are the largest of three cases: TLS 1.3 with a P-256 and with an RSA 2048
//! certificate, and TLS 1.2 with P-256. All of it was measured on 2026-11-23 on x86-64 (a virtual
//! machine on AMD EPYC, family 25), Linux 6.18, glibc 2.36, rustc 1.95.0; the programs are
//! `asm-notes/check/stack_use.rs` and `benches/stack_needs` of the repository. Another C library or
//! processor may give other numbers.
//!
//! So in a release build 32 KiB hold a task that reads, writes, formats and may panic with a
//! backtrace, 64 KiB one that speaks TLS as well, and the default of 256 KiB is five times the
//! largest figure above. In a debug build the largest figure is a third of the default.
//!
//! # What a size costs
//!
//! **Address space**: the size, 4 KiB more, and the guard below. The guard is 16 KiB, or one page
//! where the size is 32 KiB. So each stack of 256 KiB takes 276 KiB. Stacks are reserved in chunks
//! that double.
//!
//! **Memory**: only pages that were touched, so at least 4 KiB for each task that has started,
//! whatever its size, and nothing before its first step.
//!
//! **Page tables**: 8 bytes for each page of address space, from `spawn` on and touched or not, since
//! marking the guard makes the kernel build them: 82 bytes for a stack of 32 KiB, 554 for one of 256
//! KiB, 2,093 for one of 1 MiB, and from 2 MiB on about 4,200 (measured by
//! `asm-notes/check/guards.rs`). They stay until the runtime is dropped. Before Linux 6.13 guards are
//! made in another way and page tables cost nothing ahead, but see [limits](#limits).
//!
//! [`debug::stacks`](crate::debug::stacks) tells what a runtime has:
//!
//! ```
//! giambio::run(|| {
//!     giambio::pool(|pool| {
//!         for _ in 0..1_000 {
//!             pool.spawn(giambio::yield_now);
//!         }
//!     });
//!     let stacks = giambio::debug::stacks().unwrap();
//!     assert_eq!((stacks.live, stacks.idle, stacks.peak), (1, 1_000, 1_001));
//!     assert!(stacks.reserved_bytes > 256_000 << 10);
//! });
//! ```
//!
//! # When memory goes back
//!
//! The stack of a task that has ended serves the next one of its size, the warmest first, so a burst
//! of tasks leaves idle stacks with memory behind. A stack that was idle for a whole period of two
//! seconds gives its memory back to the system: that of a burst begins to go two to four seconds after
//! its end, or later if the worker never sleeps. 4 MiB of each size stay warm: 16 stacks of 256 KiB, four of 1 MiB, none of more than 4 MiB. A
//! worker that sleeps is woken for this as long as there is something to give back. Address space and
//! page tables are kept for the next burst. `StackStats::returned_bytes` counts what went back.
//!
//! A task that is still running keeps what it has touched, however long ago.
//!
//! # When a stack is too small
//!
//! The task runs into the guard, and the process aborts (`SIGABRT`) with one line on standard error:
//!
//! ```text
//! giambio: task 'src/main.rs:12' (#7) has overflowed its stack of 256 KiB: raise it with TaskBuilder::stack_size or Builder::stack_size, or make the deep call in giambio::on_big_stack
//! ```
//!
//! The name is the one that [`TaskBuilder::name`](crate::TaskBuilder::name) gave, or else the place
//! of the `spawn`. No other task is harmed before that, and nothing is unwound. What is not covered:
//!
//! * **C code that skips the guard.** Rust code touches every page on its way down. C code built
//!   without `-fstack-clash-protection` may move past the guard with one frame that is larger than
//!   it, 16 KiB (one page for stacks of 32 KiB), and write to the neighbouring stack. `on_big_stack`
//!   gives such code room.
//! * **Signal handlers without `SA_ONSTACK`.** They run on the stack of the task that they interrupt
//!   and take 3.2 KiB of it, most of it the processor's registers, plus what the handler itself uses.
//!   If the stack has no room for that, the kernel ends the process with a bare `SIGSEGV`. With
//!   `SA_ONSTACK` they run on the thread's own signal stack.
//! * **A handler for `SIGSEGV` that replaces giambio's** and does not call the one before it: then
//!   the process ends as that handler decides.
//!
//! # Limits
//!
//! When no stack is to be had, `spawn` panics and
//! [`TaskBuilder::try_spawn`](crate::TaskBuilder::try_spawn) returns an error that names the limit;
//! the runtime and its other tasks go on.
//!
//! * **`vm.max_map_count`** (65,530 by default) matters before Linux 6.13, where each guard costs two
//!   mappings: there is room for about 30,000 stacks, of whatever size. From 6.13 on guards cost no
//!   mapping. Memory that is locked (`mlockall`) has guards of the old kind on any kernel.
//! * **`RLIMIT_AS`** (`ulimit -v`) counts address space, and **`RLIMIT_DATA`** (`ulimit -d`) does
//!   too: `ulimit -v 1000000` (1 GB) leaves room for some 3,500 stacks of 256 KiB.
//! * **Strict overcommit** (`vm.overcommit_memory` = 2) counts every reserved byte as promised
//!   memory, touched or not.
//!
//! Under the last three, choose the smallest size that is safe.
//!
//! # Debug builds
//!
//! Code without optimisation keeps every intermediate value in its frame, one copy for each move.
//! Hence the larger default where giambio is built with `debug_assertions`, which cargo's dev profile
//! sets. If a debug build overflows all the same, either raise the size or optimise a little:
//!
//! ```toml
//! [profile.dev]
//! opt-level = 1
//! ```
//!
//! That alone brings the debug columns close to those of release: the `[u8; 24576]` takes 50.4 KiB of
//! its parent instead of 317.8, the JSON 36 instead of 204, a TLS task 36 instead of 68.
