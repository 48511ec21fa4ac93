//! One connection through a proxy: two threads, one per direction, that forward whole frames and
//! apply the rules.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::rules::{Ambush, Direction, Rules};

/// A larger frame is invalid.
const FRAME_BYTES_MAX: u32 = 256 << 20;
/// How long the broker's connection stays open for an unread answer: the broker must not notice
/// earlier that the client has gone.
const LAST_ANSWER_WAIT: Duration = Duration::from_secs(2);

/// State shared by both directions.
struct Connection {
    number: u64,
    rules: Arc<Rules>,
    /// The correlation id of the answer to withhold from the client, and what happens then.
    unanswered: Mutex<Option<(u32, Withheld)>>,
}

/// What happens to a connection when the broker gives the answer that the client must not get.
#[derive(Clone, Copy)]
enum Withheld {
    Cut,
    Held,
}

/// Forwards frames in both directions until either end is closed.
pub(super) fn start(
    client: TcpStream,
    broker_stream: TcpStream,
    broker: usize,
    rules: &Arc<Rules>,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    broker_stream.set_nodelay(true)?;
    let streams = [client.try_clone()?, broker_stream.try_clone()?];
    let connection = Arc::new(Connection {
        number: rules.add(broker, streams),
        rules: Arc::clone(rules),
        unanswered: Mutex::default(),
    });
    let (from, to) = (client.try_clone()?, broker_stream.try_clone()?);
    let back = Arc::clone(&connection);
    spawn("proxy-up", move || {
        connection.pass_requests(&from, &to);
        close(&from, &to);
        connection.rules.remove(connection.number);
    })?;
    spawn("proxy-down", move || {
        back.pass_answers(&broker_stream, &client);
        close(&client, &broker_stream);
    })
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name(name.to_string());
    thread.stack_size(256 << 10).spawn(work).map(drop)
}

fn close(client: &TcpStream, broker: &TcpStream) {
    for stream in [client, broker] {
        // It may be closed already.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Connection {
    fn pass_requests(&self, client: &TcpStream, broker: &TcpStream) {
        let mut named = String::new();
        while let Some(frame) = read_frame(client) {
            let request = Request::of(&frame);
            if request.client != named {
                request.client.clone_into(&mut named);
                self.rules.name(self.number, &named);
            }
            match self.rules.spring(self.number, request.kind) {
                Some(Ambush::DeliverLate(delay)) => {
                    // The other thread ends when it cannot deliver the answer.
                    let _ = client.shutdown(Shutdown::Both);
                    std::thread::sleep(delay);
                    let _ = write_frame(broker, &frame);
                    std::thread::sleep(LAST_ANSWER_WAIT);
                    return;
                }
                Some(Ambush::SwallowAnswer) => self.withhold(request.correlation, Withheld::Cut),
                Some(Ambush::HoldAnswer) => self.withhold(request.correlation, Withheld::Held),
                Some(Ambush::HoldRequest) => return self.hold(client),
                None => {}
            }
            if !self.pass(broker, &frame, Direction::ToBroker) {
                return;
            }
        }
    }

    fn pass_answers(&self, broker: &TcpStream, client: &TcpStream) {
        while let Some(frame) = read_frame(broker) {
            match self.withheld(number(&frame, 4)) {
                Some(Withheld::Cut) => return,
                Some(Withheld::Held) => return self.hold(broker),
                None if !self.pass(client, &frame, Direction::ToClient) => return,
                None => {}
            }
        }
    }

    /// Drops whatever comes until the connection is closed.
    fn hold(&self, from: &TcpStream) {
        self.rules.hold();
        while read_frame(from).is_some() {}
    }

    /// Forwards a frame. Returns whether the connection can continue.
    fn pass(&self, to: &TcpStream, frame: &[u8], direction: Direction) -> bool {
        let verdict = self.rules.judge(self.number, direction);
        if !verdict.delay.is_zero() {
            std::thread::sleep(verdict.delay);
        }
        verdict.swallow || write_frame(to, frame).is_ok()
    }

    fn withhold(&self, correlation: u32, withheld: Withheld) {
        *self.unanswered() = Some((correlation, withheld));
    }

    fn withheld(&self, correlation: u32) -> Option<Withheld> {
        let (awaited, withheld) = (*self.unanswered())?;
        (awaited == correlation).then_some(withheld)
    }

    fn unanswered(&self) -> MutexGuard<'_, Option<(u32, Withheld)>> {
        let unanswered = self.unanswered.lock();
        unanswered.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The parsed fields of a request.
struct Request<'a> {
    kind: u16,
    correlation: u32,
    client: &'a str,
}

impl Request<'_> {
    /// A frame starts with its length, the API key, the version, the correlation id and the client
    /// id.
    fn of(frame: &[u8]) -> Request<'_> {
        let short = |at: usize| number(frame, at) >> 16;
        let name = frame.get(14..14 + short(12) as usize);
        Request {
            kind: short(4) as u16,
            correlation: number(frame, 8),
            client: name.and_then(|name| std::str::from_utf8(name).ok()).unwrap_or(""),
        }
    }
}

/// Returns four bytes of a frame as a number; missing bytes count as 0.
fn number(frame: &[u8], at: usize) -> u32 {
    let byte = |at: usize| u32::from(frame.get(at).copied().unwrap_or(0));
    (byte(at) << 24) | (byte(at + 1) << 16) | (byte(at + 2) << 8) | byte(at + 3)
}

/// Reads a frame, including its length. Returns none at the end of the stream.
fn read_frame(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let size = u32::from_be_bytes(length);
    if size > FRAME_BYTES_MAX {
        return None;
    }
    let mut frame = vec![0; 4 + size as usize];
    frame[..4].copy_from_slice(&length);
    stream.read_exact(&mut frame[4..]).ok()?;
    Some(frame)
}

fn write_frame(mut stream: &TcpStream, frame: &[u8]) -> std::io::Result<()> {
    stream.write_all(frame)
}
