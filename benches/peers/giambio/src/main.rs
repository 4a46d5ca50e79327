//! giambio, as its documentation shows it: pools, borrowing, the default stack. The driver is `run`'s main task.
//! Still without more than one worker.
use bench_common::*;
use giambio::net::{TcpListener, TcpStream};
use giambio::sync::{Event, Mutex};
use giambio::{channel, pool, sleep, yield_now};
use std::cell::RefCell;
use std::hint::black_box;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() {
    let a = Args::parse();
    if a.flag("workers", 1) > 1 {
        eprintln!("error: one worker only so far");
        std::process::exit(64)
    }
    giambio::run(|| drive(a));
}

fn drive(a: Args) {
    let n = a.n(0, 0);
    match a.workload.as_str() {
        "switch" => {
            let c = Clock::start();
            pool(|pool| {
                let t = [(); 2].map(|_| {
                    pool.spawn(move || {
                        for _ in 0..n / 2 {
                            yield_now()
                        }
                    })
                });
                t.into_iter().for_each(|t| t.join().unwrap())
            });
            c.per_op("switch", n)
        }
        "spawn1" => {
            let c = Clock::start();
            pool(|pool| {
                for _ in 0..n {
                    pool.spawn(|| ()).join().unwrap()
                }
            });
            c.per_op("spawn1", n)
        }
        "spawnb" => {
            let b = a.n(1, 10_000);
            let c = Clock::start();
            pool(|pool| {
                for _ in 0..n / b {
                    let v: Vec<_> = (0..b).map(|_| pool.spawn(|| ())).collect();
                    v.into_iter().for_each(|t| t.join().unwrap());
                }
            });
            c.per_op("spawnb", n)
        }
        "idle" => {
            let mut idle = Idle::start(n);
            let up = AtomicU64::new(0);
            let gate = Event::new();
            pool(|pool| {
                let v: Vec<_> = (0..n)
                    .map(|_| {
                        pool.spawn(|| {
                            up.fetch_add(1, Relaxed);
                            gate.wait()
                        })
                    })
                    .collect();
                while up.load(Relaxed) < n {
                    yield_now()
                }
                idle.parked();
                gate.trigger(()).unwrap();
                v.into_iter().for_each(|t| t.join().unwrap());
                idle.joined()
            })
        }
        "timers" => {
            let mut r = Rng::new();
            let c = Clock::start();
            pool(|pool| {
                let v: Vec<_> = (0..n)
                    .map(|_| {
                        let ms = r.below(1000);
                        pool.spawn(move || sleep(Duration::from_millis(ms)))
                    })
                    .collect();
                v.into_iter().for_each(|t| t.join().unwrap());
            });
            timers_report(&c, 1000)
        }
        w @ ("pingpong" | "rendezvous") => {
            let capacity = (w == "pingpong") as usize;
            let (t1, r1) = channel::bounded::<u64>(capacity);
            let (t2, r2) = channel::bounded::<u64>(capacity);
            let c = Clock::start();
            pool(|pool| {
                let p = pool.spawn(move || {
                    for i in 0..n {
                        t1.send(i).unwrap();
                        r2.recv().unwrap();
                    }
                });
                let q = pool.spawn(move || {
                    for _ in 0..n {
                        t2.send(r1.recv().unwrap()).unwrap()
                    }
                });
                p.join().unwrap();
                q.join().unwrap()
            });
            c.per_op(w, n)
        }
        "stream" => {
            let (t, r) = channel::bounded::<u64>(a.n(1, 1024) as usize);
            let c = Clock::start();
            pool(|pool| {
                let p = pool.spawn(move || (0..n).for_each(|i| t.send(i).unwrap()));
                let q = pool.spawn(move || r.iter().fold(0u64, |s, x| s.wrapping_add(x)));
                p.join().unwrap();
                assert_eq!(q.join().unwrap(), n * (n - 1) / 2);
            });
            c.per_op("stream", n)
        }
        "mpmc" => {
            let (t, r) = channel::bounded::<u64>(a.n(1, 1024) as usize);
            let k = a.n(2, 4);
            let c = Clock::start();
            pool(|pool| {
                let ps: Vec<_> = (0..k)
                    .map(|_| {
                        let t = t.clone();
                        pool.spawn(move || (0..n / k).for_each(|i| t.send(i).unwrap()))
                    })
                    .collect();
                drop(t);
                let qs: Vec<_> = (0..k)
                    .map(|_| {
                        let r = r.clone();
                        pool.spawn(move || r.iter().count() as u64)
                    })
                    .collect();
                ps.into_iter().for_each(|t| t.join().unwrap());
                let got: u64 = qs.into_iter().map(|t| t.join().unwrap()).sum();
                assert_eq!(got, n / k * k);
            });
            c.per_op("mpmc", n)
        }
        "mutex" => {
            let (tasks, iters) = (a.n(0, 1000), a.n(1, 100));
            let m = Mutex::new(0u64);
            let c = Clock::start();
            pool(|pool| {
                let v: Vec<_> = (0..tasks)
                    .map(|_| {
                        pool.spawn(|| {
                            for _ in 0..iters {
                                let mut g = m.lock().unwrap();
                                yield_now();
                                *g += 1;
                            }
                        })
                    })
                    .collect();
                v.into_iter().for_each(|t| t.join().unwrap())
            });
            assert_eq!(*m.lock().unwrap(), tasks * iters);
            c.per_op("mutex", tasks * iters)
        }
        // `--std 1`: std's mutex in the same place, for the difference between the two locks alone.
        "lock" if a.flag("std", 0) == 1 => std_lock(n),
        "lock" => lock(n),
        "crossthread" => {
            let (t1, r1) = channel::bounded::<u64>(1);
            let (t2, r2) = channel::bounded::<u64>(1);
            apart(&a, 0);
            let b = a.clone();
            let asks = std::thread::spawn(move || {
                apart(&b, 1);
                t1.send(0).unwrap();
                r2.recv().unwrap();
                let c = Clock::start();
                for i in 0..n {
                    t1.send(i).unwrap();
                    assert_eq!(r2.recv().unwrap(), i);
                }
                c.per_op("crossthread", n)
            });
            pool(|pool| {
                let answers = pool.spawn(move || r1.iter().for_each(|x| t2.send(x).unwrap()));
                answers.join().unwrap()
            });
            asks.join().unwrap()
        }
        "cancel" => {
            let up = AtomicU64::new(0);
            pool(|pool| {
                let v: Vec<_> = (0..n)
                    .map(|_| {
                        pool.spawn(|| {
                            up.fetch_add(1, Relaxed);
                            sleep(Duration::from_secs(3600))
                        })
                    })
                    .collect();
                while up.load(Relaxed) < n {
                    yield_now()
                }
                sleep(Duration::from_millis(50));
                let c = Clock::start();
                pool.cancel();
                v.into_iter().for_each(|t| assert!(t.join().is_err()));
                c.per_op("cancel", n)
            })
        }
        "echo" => {
            let buf = a.flag("buf", 16384) as usize;
            let readable = a.flag("readable", 0) == 1;
            let spare = RefCell::new(Vec::new());
            let l = TcpListener::bind("127.0.0.1:0").unwrap();
            listening(l.local_addr().unwrap().port());
            pool(|pool| {
                for s in l.incoming() {
                    let s = s.unwrap();
                    if readable {
                        let spare = &spare;
                        pool.spawn(move || echo_when_readable(s, spare, buf));
                    } else {
                        pool.spawn(move || echo(s, buf));
                    }
                }
            })
        }
        "http" => {
            let l = TcpListener::bind("127.0.0.1:0").unwrap();
            listening(l.local_addr().unwrap().port());
            pool(|pool| {
                for s in l.incoming() {
                    let s = s.unwrap();
                    pool.spawn(move || http(s));
                }
            })
        }
        "httplib" => {
            let l = TcpListener::bind("127.0.0.1:0").unwrap();
            listening(l.local_addr().unwrap().port());
            pool(|pool| {
                for s in l.incoming() {
                    let s = s.unwrap();
                    pool.spawn(move || httplib(s));
                }
            })
        }
        w => unknown(w),
    }
}

fn lock(n: u64) {
    let m = Mutex::new(Count(0));
    let shared = black_box(&m);
    let c = Clock::start();
    for _ in 0..n {
        shared.lock().unwrap().0 += 1
    }
    assert_eq!(m.into_inner().unwrap().0, n);
    c.per_op("lock", n)
}

/// The largest buffer that lies on the task's stack, as in a program written for green threads: what
/// is larger goes to the heap, so that no 16 KiB are zeroed for each connection.
const ON_STACK: usize = 1024;

fn echo(s: TcpStream, buf: usize) {
    let _ = s.set_nodelay(true);
    if buf <= ON_STACK {
        echo_with(s, &mut [0; ON_STACK][..buf])
    } else {
        echo_with(s, &mut vec![0; buf])
    }
}

fn echo_with(mut s: TcpStream, b: &mut [u8]) {
    while echo_once(&mut s, b) {}
}

fn echo_once(s: &mut TcpStream, b: &mut [u8]) -> bool {
    match s.read(b) {
        Ok(0) | Err(_) => false,
        Ok(n) => s.write_all(&b[..n]).is_ok(),
    }
}

/// Waits without a buffer, and takes one that nobody else uses for as long as there is something to do.
fn echo_when_readable(mut s: TcpStream, spare: &RefCell<Vec<Vec<u8>>>, buf: usize) {
    let _ = s.set_nodelay(true);
    while s.readable().is_ok() {
        let b = spare.borrow_mut().pop();
        let mut b = b.unwrap_or_else(|| vec![0; buf]);
        let goes_on = echo_once(&mut s, &mut b);
        spare.borrow_mut().push(b);
        if !goes_on {
            return;
        }
    }
}

fn http(mut s: TcpStream) {
    let _ = s.set_nodelay(true);
    let (mut b, mut len) = (vec![0u8; 4096], 0);
    loop {
        match s.read(&mut b[len..]) {
            Ok(0) | Err(_) => return,
            Ok(n) => {
                let (reqs, left) = http_requests(&mut b, len + n);
                len = left;
                for _ in 0..reqs {
                    if s.write_all(HTTP_RESPONSE).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// There is no HTTP library for giambio, and there need not be one: httparse, which hyper and may_minihttp use as
/// well, and what they also do for each request: a look at its `Connection`, and an answer with a date.
fn httplib(mut s: TcpStream) {
    let _ = s.set_nodelay(true);
    let (mut b, mut len, mut out) = (vec![0u8; 4096], 0, Vec::new());
    let mut open = true;
    while open {
        match s.read(&mut b[len..]) {
            Ok(0) | Err(_) => return,
            Ok(n) => len += n,
        }
        let mut start = 0;
        while open {
            let mut headers = [MaybeUninit::uninit(); 32];
            let mut r = httparse::Request::new(&mut []);
            match r.parse_with_uninit_headers(&b[start..len], &mut headers) {
                Ok(httparse::Status::Complete(n)) => start += n,
                Ok(httparse::Status::Partial) => break,
                Err(_) => return,
            }
            open = r.version == Some(1)
                && !r.headers.iter().any(|h| {
                    h.name.eq_ignore_ascii_case("connection") && h.value.eq_ignore_ascii_case(b"close")
                });
            answer(&mut out, b"text/plain", b"Hello, World!");
        }
        b.copy_within(start..len, 0);
        len -= start;
        if s.write_all(&out).is_err() {
            return;
        }
        out.clear();
    }
}

fn answer(out: &mut Vec<u8>, kind: &[u8], body: &[u8]) {
    thread_local!(static DATE: RefCell<(u64, String)> = const { RefCell::new((0, String::new())) });
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\nContent-Type: ");
    out.extend_from_slice(kind);
    let _ = write!(out, "\r\nContent-Length: {}\r\nDate: ", body.len());
    DATE.with_borrow_mut(|(at, text)| {
        let now = SystemTime::now();
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        if *at != seconds {
            (*at, *text) = (seconds, httpdate::fmt_http_date(now));
        }
        out.extend_from_slice(text.as_bytes());
    });
    out.extend_from_slice(b"\r\n\r\n");
    out.extend_from_slice(body);
}
