//! One of everything that a select can wait for.

use crate::pair;
use crate::put;
use crate::take_all;
use giambio::Pool;
use giambio::Task;
use giambio::channel::Receiver;
use giambio::channel::Select;
use giambio::channel::Sender;
use giambio::channel::bounded;
use giambio::channel::select;
use giambio::clock;
use giambio::os::unix::net::UnixStream;
use giambio::sync::Event;
use std::io::Read;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

/// What a select can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Readable,
    Writable,
    Receive,
    Send,
    Finished,
    Happened,
    Deadline,
}

pub(crate) const ALL: [Kind; 7] = [
    Kind::Readable,
    Kind::Writable,
    Kind::Receive,
    Kind::Send,
    Kind::Finished,
    Kind::Happened,
    Kind::Deadline,
];

/// All that do not need time to pass: it does not while somebody waits for I/O on the clock of a test.
pub(crate) const TIMELESS: [Kind; 6] =
    [Kind::Readable, Kind::Writable, Kind::Receive, Kind::Send, Kind::Finished, Kind::Happened];

/// How far away a deadline is that is to be missed.
const FAR: Duration = Duration::from_secs(3600);

/// One of each kind, none of which is ready.
pub(crate) struct World<'scope> {
    readable: (UnixStream, UnixStream),
    writable: (UnixStream, UnixStream),
    /// What the second one holds as long as it is not writable.
    filled: usize,
    receive: (Sender<&'static str>, Receiver<&'static str>),
    send: (Sender<&'static str>, Receiver<&'static str>),
    gate: &'scope Event,
    task: Task<'scope, ()>,
    event: Event<&'static str>,
    deadline: Instant,
}

impl<'scope> World<'scope> {
    /// `gate` is to be as good as new, and to live as long as the pool.
    pub(crate) fn new(pool: &'scope Pool<'scope, '_>, gate: &'scope Event) -> Self {
        let writable = pair();
        let filled = fill(&writable.0);
        let send = bounded(1);
        send.0.send("before").unwrap();
        Self {
            readable: pair(),
            writable,
            filled,
            receive: bounded(1),
            send,
            gate,
            task: pool.spawn(|| gate.wait()),
            event: Event::new(),
            deadline: clock() + FAR,
        }
    }

    /// The same, whose deadline will be missed after so long.
    pub(crate) fn until(self, delay: Duration) -> Self {
        Self { deadline: clock() + delay, ..self }
    }

    /// Makes one of them ready; who waits for time has to wait.
    pub(crate) fn fire(&self, kind: Kind) {
        match kind {
            Kind::Readable => put(&self.readable.1),
            Kind::Writable => {
                (&self.writable.1).read_exact(&mut vec![0; self.filled]).unwrap();
            }
            Kind::Receive => self.receive.0.try_send("received").unwrap(),
            Kind::Send => assert_eq!(self.send.1.try_recv(), Ok("before")),
            Kind::Finished => self.gate.trigger(()).unwrap(),
            Kind::Happened => self.event.trigger("happened").unwrap(),
            Kind::Deadline => giambio::sleep_until(self.deadline),
        }
    }

    /// Selects among all of them.
    pub(crate) fn select(&self) -> Kind {
        select! {
            readable(self.readable.0) -> result => {
                result.unwrap();
                Kind::Readable
            }
            writable(self.writable.0) -> result => {
                result.unwrap();
                Kind::Writable
            }
            recv(self.receive.1) -> message => {
                assert_eq!(message, Ok("received"));
                Kind::Receive
            }
            send(self.send.0, "sent") -> result => {
                assert_eq!(result, Ok(()));
                Kind::Send
            }
            finished(self.task) -> () => {
                assert!(self.task.is_finished());
                Kind::Finished
            }
            happened(self.event) -> value => {
                assert_eq!(*value, "happened");
                Kind::Happened
            }
            deadline(self.deadline) -> () => {
                assert!(clock() >= self.deadline);
                Kind::Deadline
            }
        }
    }

    /// The same by a list, of some of them.
    pub(crate) fn select_of(&self, kinds: &[Kind]) -> Kind {
        let mut list = self.list(kinds);
        let operation = list.select();
        let kind = kinds[operation.index()];
        match kind {
            Kind::Receive => assert_eq!(operation.recv(&self.receive.1), Ok("received")),
            Kind::Send => assert_eq!(operation.send(&self.send.0, "sent"), Ok(())),
            _ => operation.complete().unwrap(),
        }
        kind
    }

    /// The same, and nothing is done.
    pub(crate) fn ready_of(&self, kinds: &[Kind]) -> Kind {
        kinds[self.list(kinds).ready()]
    }

    fn list(&self, kinds: &[Kind]) -> Select<'_> {
        let mut list = Select::new();
        for (number, kind) in kinds.iter().enumerate() {
            let added = match kind {
                Kind::Readable => list.readable(&self.readable.0),
                Kind::Writable => list.writable(&self.writable.0),
                Kind::Receive => list.recv(&self.receive.1),
                Kind::Send => list.send(&self.send.0),
                Kind::Finished => list.finished(&self.task),
                Kind::Happened => list.happened(&self.event),
                Kind::Deadline => list.deadline(self.deadline),
            };
            assert_eq!(added, number);
        }
        list
    }

    /// What was fired can still be had, if it is anything that a select could have taken; `taken` has been.
    pub(crate) fn assert_left(&self, fired: &[Kind], taken: Option<Kind>) {
        let is_there = |kind| fired.contains(&kind) && taken != Some(kind);
        // A select takes no bytes, chosen or not.
        assert_eq!(take_all(&self.readable.0), usize::from(fired.contains(&Kind::Readable)));
        let message = self.receive.1.try_recv().ok();
        assert_eq!(message, is_there(Kind::Receive).then_some("received"));
        let expected = match (fired.contains(&Kind::Send), taken == Some(Kind::Send)) {
            (false, _) => Some("before"),
            (true, true) => Some("sent"),
            (true, false) => None,
        };
        assert_eq!(self.send.1.try_recv().ok(), expected);
        assert_eq!(self.event.get().is_some(), fired.contains(&Kind::Happened));
    }

    /// Ends what would go on for ever.
    pub(crate) fn close(&self) {
        let _ = self.gate.trigger(());
    }
}

/// Sends until there is no more room, and returns how many bytes that were.
pub(crate) fn fill(mut stream: &UnixStream) -> usize {
    stream.set_nonblocking(true).unwrap();
    let mut count = 0;
    while let Ok(written) = stream.write(&[0; 4096]) {
        count += written;
    }
    stream.set_nonblocking(false).unwrap();
    count
}

/// Plays a test with a world.
pub(crate) fn with_world(test: impl FnOnce(&World<'_>)) {
    let gate = Event::new();
    giambio::pool(|pool| {
        let world = World::new(pool, &gate);
        test(&world);
        world.close();
    });
}
