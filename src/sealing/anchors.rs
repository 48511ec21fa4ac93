//! Anchors: signed lists of the newest seals, kept outside the cluster. Who can rewrite the topics
//! can cut off the newest events with their seals; an anchor still knows them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::ensure;
use audit_chain::anchor::{Anchor, Anchored, format_file};
use audit_chain::name::Set;
use audit_chain::note;
use audit_chain::time::Time;
use tracing::{info, warn};
use ureq::tls::RootCerts;

use super::settings::SealingSettings;
use crate::config::HttpUrl;
use crate::http_client::agent;
use crate::lock::lock;

/// Longest time to send an anchor.
const SEND_WAIT_MAX: Duration = Duration::from_secs(10);

/// Where the anchors of a process go: to its log, and to a file and an endpoint if there are any.
#[derive(Debug, Default)]
pub struct AnchorSink {
    file: Option<PathBuf>,
    /// Held while the file is written: the workers share it.
    writing: Mutex<()>,
    url: Option<HttpUrl>,
    in_file: Tally,
    at_endpoint: Arc<Tally>,
}

/// Counts the anchors for one place.
#[derive(Debug, Default)]
struct Tally {
    kept: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    fn count<T, E>(&self, result: &Result<T, E>) {
        let counter = if result.is_ok() { &self.kept } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many anchors came to a place outside the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchorCounts {
    /// `file` or `endpoint`.
    pub place: &'static str,
    /// Anchors that are there.
    pub kept: u64,
    /// Anchors that could not be written or sent, and are in the log only.
    pub failed: u64,
}

impl AnchorSink {
    /// Appends to this file and sends to this endpoint as well.
    pub fn new(file: Option<PathBuf>, url: Option<HttpUrl>) -> Self {
        AnchorSink { file, url, ..AnchorSink::default() }
    }

    /// Returns the counts of the places that are configured.
    pub fn counts(&self) -> Vec<AnchorCounts> {
        let places = [
            ("file", self.file.is_some(), &self.in_file),
            ("endpoint", self.url.is_some(), &*self.at_endpoint),
        ];
        let configured = places.into_iter().filter(|(_, is_configured, _)| *is_configured);
        let counts = configured.map(|(place, _, tally)| AnchorCounts {
            place,
            kept: tally.kept.load(Ordering::Relaxed),
            failed: tally.failed.load(Ordering::Relaxed),
        });
        counts.collect()
    }

    fn keep(&self, note: &str) -> Sending {
        info!(anchor = note, "anchor of the newest seals");
        let entry = format_file(&[note]);
        if let Some(path) = &self.file {
            let _writing = lock(&self.writing);
            let appended = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|mut file| file.write_all(entry.as_bytes()));
            self.in_file.count(&appended);
            if let Err(error) = appended {
                warn!(path = %path.display(), %error, "cannot write the anchor; it is in the log");
            }
        }
        let Some(url) = self.url.clone() else { return Sending(None) };
        // A worker must not wait for the endpoint.
        let tally = Arc::clone(&self.at_endpoint);
        let sending = thread::Builder::new().name("anchor".to_string());
        let sending = sending.spawn(move || {
            let sent = send(&url, entry);
            tally.count(&sent);
            if let Err(error) = sent {
                let error = format!("{error:#}");
                warn!(%url, error, "cannot send the anchor; it is in the log");
            }
        });
        if let Err(error) = &sending {
            self.at_endpoint.count(&sending);
            warn!(%error, "cannot start a thread to send the anchor; it is in the log");
        }
        Sending(sending.ok())
    }
}

/// An anchor that is being sent, if there is an endpoint. The thread goes on by itself.
#[derive(Debug, Default)]
pub(super) struct Sending(Option<JoinHandle<()>>);

impl Sending {
    /// Waits until it was sent, or could not be: for a process that is about to end.
    pub(super) fn wait(self) {
        // The thread has said what went wrong.
        _ = self.0.map(JoinHandle::join);
    }
}

/// Sends a part of a file of anchors: who appends what comes has the file.
fn send(url: &HttpUrl, entry: String) -> anyhow::Result<()> {
    let agent = agent(url, RootCerts::PlatformVerifier, SEND_WAIT_MAX);
    let request = agent.post(url.uri()).header("Content-Type", "text/plain; charset=utf-8");
    let status = request.send(entry)?.status();
    ensure!(status.is_success(), "the endpoint responded {status}");
    Ok(())
}

/// Signs the newest seals of these sets and keeps them.
pub(super) fn anchor(
    seals: BTreeMap<Set, Anchored>,
    time: Time,
    settings: &SealingSettings,
) -> Sending {
    let anchor = Anchor::new(settings.origin.clone(), time, seals);
    let Some(anchor) = anchor else { return Sending::default() };
    match note::sign(&anchor.to_string(), &[&settings.keys.current.signing]) {
        Ok(note) => settings.anchors.keep(&note),
        Err(error) => {
            warn!(%error, "cannot sign an anchor");
            Sending::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::net::TcpListener;

    use audit_chain::anchor::split_file;
    use audit_chain::key::SigningKey;

    use super::*;

    fn note(text: &str) -> String {
        let key = SigningKey::from_seed("a".parse().expect("a name"), &[1; 32]);
        note::sign(text, &[&key]).expect("a note")
    }

    fn texts(file: &[u8]) -> Vec<String> {
        let notes = split_file(file).expect("whole notes");
        notes.iter().map(|note| note.text().to_string()).collect()
    }

    /// Answers a request with a status, and returns its path and its body.
    fn answer(listener: &TcpListener, status: &str) -> (String, Vec<u8>) {
        let (mut stream, _) = listener.accept().expect("a request");
        let mut reader = BufReader::new(stream.try_clone().expect("a copy"));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).expect("a line");
        }
        let path = head.split(' ').nth(1).expect("a path").to_string();
        let lower = head.to_lowercase();
        let (_, length) = lower.split_once("content-length: ").expect("a length");
        let length = length.lines().next().expect("a line").parse().expect("a number");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(response.as_bytes()).expect("answered");
        assert!(lower.starts_with("post ") && lower.contains("content-type: text/plain"), "{head}");
        (path, body)
    }

    #[test]
    fn anchors_are_appended_to_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("anchors");
        let sink = AnchorSink::new(Some(path.clone()), None);
        sink.keep(&note("one\n"));
        sink.keep(&note("two\n"));
        assert_eq!(texts(&std::fs::read(path).expect("written")), ["one\n", "two\n"]);
        assert_eq!(sink.counts(), [AnchorCounts { place: "file", kept: 2, failed: 0 }]);
        // A folder is no file.
        let sink = AnchorSink::new(Some(folder.path().to_path_buf()), None);
        sink.keep(&note("three\n"));
        assert_eq!(sink.counts(), [AnchorCounts { place: "file", kept: 0, failed: 1 }]);
        assert_eq!(AnchorSink::default().counts(), []);
    }

    #[test]
    fn anchors_are_sent_to_the_endpoint_as_parts_of_a_file() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let url = HttpUrl::parse(&format!("http://127.0.0.1:{port}/anchors?trail=a"));
        let url = url.expect("a URL");
        let sink = AnchorSink::new(None, Some(url.clone()));
        let mut file = Vec::new();
        let keep = |text, status| {
            let sending = sink.keep(&note(text));
            let answered = answer(&listener, status);
            sending.wait();
            answered
        };
        for text in ["one\n", "two\n"] {
            let (path, body) = keep(text, "204 No Content");
            assert_eq!(path, "/anchors?trail=a");
            file.extend(body);
        }
        assert_eq!(texts(&file), ["one\n", "two\n"]);
        keep("three\n", "503 Service Unavailable");
        assert_eq!(sink.counts(), [AnchorCounts { place: "endpoint", kept: 2, failed: 1 }]);
        let refused = thread::spawn(move || send(&url, note("four\n")));
        answer(&listener, "503 Service Unavailable");
        let refused = refused.join().expect("it ends").expect_err("refused").to_string();
        assert!(refused.contains("503"), "{refused}");
    }
}
