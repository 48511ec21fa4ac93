//! Broker requests that the client does not offer: rights, quotas, leader elections and
//! coordinators. Encoded by hand, in old protocol versions that current brokers still support. Only
//! for the tests' own listener without security.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};

const REQUEST_MAX: Duration = Duration::from_secs(30);
const ANY: i8 = 1;
const TOPIC: i8 = 2;
const LITERAL: i8 = 3;
const WRITE: i8 = 4;
const DESCRIBE: i8 = 8;
const DENY: i8 = 2;

/// The subject of a coordinator.
#[derive(Clone, Copy, Debug)]
pub enum Coordinated<'a> {
    Group(&'a str),
    TransactionalId(&'a str),
}

/// Denies a user to write to a topic.
pub fn deny_write(broker: SocketAddr, user: &str, topic: &str) -> anyhow::Result<()> {
    deny(broker, user, topic, WRITE)
}

/// Denies a user to describe a topic, and with that every other operation on it.
pub fn deny_describe(broker: SocketAddr, user: &str, topic: &str) -> anyhow::Result<()> {
    deny(broker, user, topic, DESCRIBE)
}

fn deny(broker: SocketAddr, user: &str, topic: &str, operation: i8) -> anyhow::Result<()> {
    let mut body = Body::default();
    body.int(1).byte(TOPIC).text(topic).byte(LITERAL);
    body.text(&format!("User:{user}")).text("*");
    body.byte(operation).byte(DENY);
    let answer = ask(broker, 30, 1, &body)?;
    // Throttle time, number of results, error.
    no_error(&answer, 8)
}

/// Removes all denials on a topic, for every principal.
pub fn allow_again(broker: SocketAddr, topic: &str) -> anyhow::Result<()> {
    let mut body = Body::default();
    body.int(1).byte(TOPIC).text(topic).byte(LITERAL);
    // Any user, from any host.
    body.short(-1).short(-1);
    body.byte(ANY).byte(DENY);
    let answer = ask(broker, 31, 1, &body)?;
    no_error(&answer, 8)
}

/// Sets the quota of all producers with this client id, in bytes a second; `None` removes it. The
/// broker first lets a burst pass: as much as its windows (`quota.window.num`, one second each)
/// allow.
pub fn limit_producer(
    broker: SocketAddr,
    client_id: &str,
    bytes_per_second: Option<u32>,
) -> anyhow::Result<()> {
    let mut body = Body::default();
    // One entry, of one entity, with one change.
    body.int(1).int(1).text("client-id").text(client_id);
    body.int(1).text("producer_byte_rate");
    body.double(f64::from(bytes_per_second.unwrap_or_default()));
    body.byte(i8::from(bytes_per_second.is_none()));
    // Not a dry run (`validate_only`).
    body.byte(0);
    let answer = ask(broker, 49, 0, &body)?;
    no_error(&answer, 8)
}

/// Elects the preferred leader of every partition. Partitions that already have it are no error.
pub fn elect_preferred_leaders(broker: SocketAddr) -> anyhow::Result<()> {
    let mut body = Body::default();
    let millis = i32::try_from(REQUEST_MAX.as_millis())?;
    body.byte(0).int(-1).int(millis);
    let answer = ask(broker, 43, 1, &body)?;
    no_error(&answer, 4)
}

/// Returns the id of the coordinating broker.
pub fn coordinator(broker: SocketAddr, of: Coordinated<'_>) -> anyhow::Result<i32> {
    let (key, kind) = match of {
        Coordinated::Group(group) => (group, 0),
        Coordinated::TransactionalId(id) => (id, 1),
    };
    let mut body = Body::default();
    body.text(key).byte(kind);
    let answer = ask(broker, 10, 2, &body)?;
    no_error(&answer, 4)?;
    // The error's text follows the error code.
    let text = short(&answer, 6)?.max(0);
    int(&answer, 8 + usize::try_from(text)?)
}

/// The bytes of a request after its header.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn byte(&mut self, value: i8) -> &mut Body {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn short(&mut self, value: i16) -> &mut Body {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn int(&mut self, value: i32) -> &mut Body {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn double(&mut self, value: f64) -> &mut Body {
        self.0.extend(value.to_be_bytes());
        self
    }

    fn text(&mut self, value: &str) -> &mut Body {
        self.0.extend((value.len() as u16).to_be_bytes());
        self.0.extend(value.as_bytes());
        self
    }
}

/// Sends a request on a new connection. Returns the answer without its header.
fn ask(broker: SocketAddr, kind: i16, version: i16, body: &Body) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&broker, REQUEST_MAX).context("connect")?;
    stream.set_read_timeout(Some(REQUEST_MAX))?;
    let mut request = Body::default();
    request.short(kind).short(version).int(1).text("support");
    request.0.extend(&body.0);
    stream.write_all(&u32::try_from(request.0.len())?.to_be_bytes())?;
    stream.write_all(&request.0)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length).context("wait for the answer")?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    ensure!(answer.len() >= 4, "an answer without a header");
    Ok(answer.split_off(4))
}

fn no_error(answer: &[u8], at: usize) -> anyhow::Result<()> {
    match short(answer, at)? {
        0 => Ok(()),
        code => bail!("the broker answers with error {code}"),
    }
}

fn short(answer: &[u8], at: usize) -> anyhow::Result<i16> {
    let bytes = answer.get(at..at + 2).context("the answer is too short")?;
    Ok(i16::from_be_bytes(bytes.try_into()?))
}

fn int(answer: &[u8], at: usize) -> anyhow::Result<i32> {
    let bytes = answer.get(at..at + 4).context("the answer is too short")?;
    Ok(i32::from_be_bytes(bytes.try_into()?))
}
