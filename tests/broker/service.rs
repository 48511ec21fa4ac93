//! What systemd hears from a relay: it counts as started when it is first ready, says meanwhile
//! what it waits for, then that it is alive, and that it stops.

use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::REQUEST_MAX;
use audit_testkit::kafka::KafkaBroker;
use audit_testkit::relay::TestDeployment;

/// The socket of a service manager, with every line that has arrived.
struct Manager {
    socket: UnixDatagram,
    lines: Vec<String>,
}

impl Manager {
    /// Receives until a new line satisfies a condition, and returns the number of lines before it.
    #[track_caller]
    fn await_line(&mut self, what: &str, done: impl Fn(&str) -> bool) -> usize {
        let since = Instant::now();
        let mut buffer = [0; 4_096];
        loop {
            let received = self.socket.recv(&mut buffer).unwrap_or_default();
            let text = String::from_utf8_lossy(&buffer[..received]).into_owned();
            let before = self.lines.len();
            self.lines.extend(text.lines().map(str::to_string));
            if let Some(found) = self.lines[before..].iter().position(|line| done(line)) {
                return before + found;
            }
            assert!(since.elapsed() < REQUEST_MAX, "no {what}: {:#?}", self.lines);
        }
    }

    fn has(&self, line: &str) -> bool {
        self.lines.iter().any(|known| known == line)
    }
}

#[test]
fn systemd_hears_what_is_awaited_that_it_is_ready_alive_and_stopping() {
    let broker = KafkaBroker::shared();
    let mut deployment = TestDeployment::create(PROGRAM, broker, 2, PRINCIPALS, "");
    deployment.prefix = format!("{}.", broker.unique("late"));
    let path = deployment.path("notify.socket");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a limit");
    let mut manager = Manager { socket, lines: Vec::new() };
    deployment.environment =
        vec![("NOTIFY_SOCKET".to_string(), path.to_str().expect("text").to_string())];
    let outputs = deployment.outputs();
    let (late, others) = outputs.split_first().expect("outputs");
    for topic in others {
        broker.create_topic(topic, 3);
    }
    let mut relay = deployment.start("served");
    manager.await_line("topic that is waited for", |line| {
        line.starts_with("STATUS=") && line.contains("cluster: waiting for") && line.contains(late)
    });
    broker.create_topic(late, 3);
    let ready = manager.await_line("READY=1", |line| line == "READY=1");
    assert!(manager.lines[..ready].iter().all(|line| line != "READY=1"), "{:?}", manager.lines);
    relay.await_ready();
    for _ in 0..3 {
        manager.await_line("WATCHDOG=1", |line| line == "WATCHDOG=1");
    }
    assert!(manager.has("STATUS=ready"), "{:?}", manager.lines);
    assert!(!manager.has("STOPPING=1"), "{:?}", manager.lines);
    relay.signal("TERM");
    manager.await_line("STOPPING=1", |line| line == "STOPPING=1");
    assert!(relay.wait().success(), "{}", relay.log());
    let readies = manager.lines.iter().filter(|line| *line == "READY=1").count();
    assert_eq!(readies, 1, "{:?}", manager.lines);
}
