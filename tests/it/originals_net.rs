//! The scripts with sockets that Python giambio came with, both ends in one test.
//!
//! The examples are these programs in full, with tests of their own; here is what the scripts promise.
//! The 60 s that `proxy` has in all are tested there: no virtual clock moves while a task waits for I/O.

use crate::fail;
use crate::originals::Output;
use crate::panic_of;
use crate::secs;
use giambio::net::Shutdown;
use giambio::net::SocketAddr;
use giambio::net::TcpListener;
use giambio::net::TcpStream;
use giambio::pool;
use giambio::skip_after;
use giambio::sync::Event;
use std::cell::RefCell;
use std::io;
use std::io::Read;
use std::io::Write;
use std::rc::Rc;

/// The accept loop of the scripts: a task for each client.
fn serve(listener: &TcpListener, handler: &dyn Fn(TcpStream) -> io::Result<()>) {
    pool(|pool| {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // Or the kernel keeps a second small segment back, by a clock of its own.
            stream.set_nodelay(true).unwrap();
            pool.spawn(move || handler(stream).unwrap());
        }
    });
}

/// What the next read gives, as text.
fn heard(mut stream: &TcpStream) -> String {
    let mut bytes = [0; 1024];
    let count = stream.read(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).into_owned()
}

fn say(mut stream: &TcpStream, text: &str) {
    stream.write_all(text.as_bytes()).unwrap();
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(b"Welcome to the server pal, feel free to send me something!\n")?;
    let mut chunk = [0; 1024];
    loop {
        let count = stream.read(&mut chunk)?;
        match &chunk[..count] {
            b"" => return Ok(()),
            b"exit\n" => {
                stream.write_all(b"I'm dead dude\n")?;
                fail("Oh, no, I'm gonna die!")
            }
            bytes => stream.write_all(&[b"Got: ", bytes].concat())?,
        }
    }
}

#[test]
fn echo_server_dies_of_an_exit_and_closes_every_connection() {
    // In the script the error comes up in the accept loop, which catches it and goes on: the script's
    // first aim was another. Here a failure cuts the loop and leaves `run`, as the tutorial has it.
    let script = |output: &Output| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let was_echoed = Event::new();
        pool(|clients| {
            let first = clients.spawn(|| {
                let stream = TcpStream::connect(address).unwrap();
                output.print(&format!("first: {:?}", heard(&stream)));
                say(&stream, "hello\n");
                output.print(&format!("first: {:?}", heard(&stream)));
                was_echoed.trigger(()).unwrap();
                heard(&stream)
            });
            let second = clients.spawn(|| {
                was_echoed.wait();
                let stream = TcpStream::connect(address).unwrap();
                heard(&stream);
                say(&stream, "exit\n");
                heard(&stream)
            });
            let error = panic_of(|| serve(&listener, &echo));
            output.print(&format!("server: exits due to {error:?}"));
            output.print(&format!("first: {:?} is the end", first.join().unwrap()));
            output.print(&format!("second: {:?}", second.join().unwrap()));
        });
    };
    Output::of(
        script,
        &[
            "0 first: \"Welcome to the server pal, feel free to send me something!\\n\"",
            "0 first: \"Got: hello\\n\"",
            "0 server: exits due to \"Oh, no, I'm gonna die!\"",
            "0 first: \"\" is the end",
            "0 second: \"I'm dead dude\\n\"",
            "0 main: complete",
        ],
    );
}

/// Who is in the chat room.
type Room = RefCell<Vec<Rc<TcpStream>>>;

/// Passes on what one client says to all others.
fn chat(room: &Room, stream: TcpStream) -> io::Result<()> {
    let own = Rc::new(stream);
    room.borrow_mut().push(Rc::clone(&own));
    (&*own).write_all(b"Welcome to the chatroom pal, start typing and press enter!\n")?;
    let mut chunk = [0; 1024];
    loop {
        let count = (&*own).read(&mut chunk)?;
        if count == 0 {
            room.borrow_mut().retain(|client| !Rc::ptr_eq(client, &own));
            return Ok(());
        }
        let clients = room.borrow().clone();
        for client in clients.iter().filter(|client| !Rc::ptr_eq(client, &own)) {
            (&**client).write_all(&chunk[..count])?;
        }
    }
}

/// Enters the chat room.
fn enter(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    assert!(heard(&stream).starts_with("Welcome to the chatroom pal"));
    stream
}

#[test]
fn chatroom_server_passes_each_line_to_everybody_else() {
    let script = |output: &Output| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let room = Room::default();
        pool(|pool| {
            let server = pool.spawn(|| serve(&listener, &|stream| chat(&room, stream)));
            let [first, second, third] = [enter(address), enter(address), enter(address)];
            say(&first, "hi all\n");
            output.print(&format!("second: {:?}", heard(&second)));
            output.print(&format!("third: {:?}", heard(&third)));
            say(&second, "hi first\n");
            output.print(&format!("first: {:?}", heard(&first)));
            output.print(&format!("third: {:?}", heard(&third)));
            second.shutdown(Shutdown::Write).unwrap();
            assert_eq!(heard(&second), "", "who leaves is let go");
            say(&third, "bye\n");
            output.print(&format!("first: {:?}", heard(&first)));
            server.cancel();
        });
    };
    Output::of(
        script,
        &[
            "0 second: \"hi all\\n\"",
            "0 third: \"hi all\\n\"",
            "0 first: \"hi first\\n\"",
            "0 third: \"hi first\\n\"",
            "0 first: \"bye\\n\"",
            "0 main: complete",
        ],
    );
}

/// One way of the proxy: passes on the end as well.
fn proxy_one_way(mut source: &TcpStream, mut sink: &TcpStream) -> io::Result<()> {
    io::copy(&mut source, &mut sink)?;
    sink.shutdown(Shutdown::Write)
}

#[test]
fn proxy_passes_on_both_ways_and_the_end_of_each_by_itself() {
    let script = |output: &Output| {
        let listeners = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [a, b] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
        pool(|pool| {
            let proxy = pool.spawn(|| {
                skip_after(secs(60), |_| {
                    let [a, b] = [a, b].map(|address| TcpStream::connect(address).unwrap());
                    giambio::pool(|pool| {
                        pool.spawn(|| proxy_one_way(&a, &b).unwrap());
                        pool.spawn(|| proxy_one_way(&b, &a).unwrap());
                    });
                })
            });
            let [a, b] = listeners.each_ref().map(|listener| listener.accept().unwrap().0);
            say(&a, "ping");
            output.print(&format!("b: {:?}", heard(&b)));
            say(&b, "pong");
            output.print(&format!("a: {:?}", heard(&a)));
            say(&a, "that is all");
            a.shutdown(Shutdown::Write).unwrap();
            output.print(&format!("b: {:?}", heard(&b)));
            output.print(&format!("b: {:?} is the end", heard(&b)));
            say(&b, "the other half is open still");
            output.print(&format!("a: {:?}", heard(&a)));
            drop(b);
            output.print(&format!("a: {:?} is the end", heard(&a)));
            assert_eq!(proxy.join().unwrap(), Some(()), "within its limit");
            output.print("proxy: has exited");
        });
    };
    Output::of(
        script,
        &[
            "0 b: \"ping\"",
            "0 a: \"pong\"",
            "0 b: \"that is all\"",
            "0 b: \"\" is the end",
            "0 a: \"the other half is open still\"",
            "0 a: \"\" is the end",
            "0 proxy: has exited",
            "0 main: complete",
        ],
    );
}
