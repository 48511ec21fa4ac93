//! A plain HTTP token endpoint on this machine, with a proxy in the environment: the proxy is never
//! used, and no secret is in the log, in `/readyz` or in the output of `check`. Tests the real
//! program, without a broker.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Contained in every secret, and in every part of the URL that must not be shown.
const MARK: &str = "hunter2";
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Accepts connections, answers each with a redirect, and reports the requests. Ends with the test
/// process.
fn serve() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (asked, requests) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4_096];
            let read = stream.read(&mut head).unwrap_or(0);
            // The test may be over.
            _ = asked.send(String::from_utf8_lossy(&head[..read]).into_owned());
            _ = write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: /other?{MARK}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
    });
    (port, requests)
}

fn write_configuration(folder: &Path, endpoint: &str) {
    let text = format!(
        "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:1\"\n\"security.protocol\" = \"SASL_PLAINTEXT\"\n\
         \"sasl.mechanism\" = \"OAUTHBEARER\"\ndebug = \"security,conf,broker\"\n\
         \"sasl.oauthbearer.method\" = \"oidc\"\n\"sasl.oauthbearer.token.endpoint.url\" = \"{endpoint}\"\n\
         \"sasl.oauthbearer.client.id\" = \"relay\"\n\"sasl.oauthbearer.client.secret\" = \"{MARK}\"\n\
         [principals]\ntopic = \"principals\"\n[admin]\nlisten = \"127.0.0.1:0\"\n"
    );
    std::fs::write(folder.join("relay.toml"), text).expect("the configuration");
}

fn program(folder: &Path, command: &[&str], proxy: u16, output: &str) -> Child {
    let file = File::create(folder.join(output)).expect("a file");
    let both = file.try_clone().expect("a file");
    Command::new(env!("CARGO_BIN_EXE_audit-relay"))
        .args(command)
        .arg("--config")
        .arg(folder.join("relay.toml"))
        .env("ALL_PROXY", format!("http://127.0.0.1:{proxy}"))
        .env("HTTP_PROXY", format!("http://127.0.0.1:{proxy}"))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env("RUST_LOG", "trace")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(both)
        .spawn()
        .expect("the program")
}

/// Retries until the attempt returns a value.
#[track_caller]
fn poll_until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(since.elapsed() < WAIT_MAX, "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn readyz(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: relay\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn a_secret_is_sent_only_to_its_endpoint_and_never_logged() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (endpoint, asked) = serve();
    let (proxy, proxied) = serve();
    let shown = format!("token endpoint http://127.0.0.1:{endpoint}/token: responded 302");
    write_configuration(folder, &format!("http://127.0.0.1:{endpoint}/token?key={MARK}"));
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap_or_default();

    let mut check = program(folder, &["check", "--connect"], proxy, "check.txt");
    let mut run = program(folder, &["run"], proxy, "run.txt");
    let address = poll_until("admin address", || {
        let log = read("run.txt");
        let after = log.split("\"admin\":\"").nth(1)?;
        after.split_once('"').map(|(address, _)| address.to_string())
    });
    let ready = poll_until("answer that names the endpoint", || {
        readyz(&address).filter(|answer| answer.contains(&shown))
    });
    let status = poll_until("end of the check", || check.try_wait().expect("a child"));
    // What the crates log for themselves is there, with the crate as its target and no path.
    let log = read("run.txt");
    for target in ["librdkafka", "ureq"] {
        assert!(log.contains(&format!("\"target\":\"{target}\"")), "{target}\n{log}");
    }
    for path in ["log.file", "log.line", "/registry/src/"] {
        assert!(!log.contains(path), "{path}\n{log}");
    }
    run.kill().expect("it runs");
    run.wait().expect("a child");

    assert!(!status.success());
    let requests: Vec<String> = asked.try_iter().collect();
    assert!(requests.len() >= 2, "{requests:?}");
    let is_whole = |request: &String| request.starts_with(&format!("POST /token?key={MARK} "));
    assert!(requests.iter().all(is_whole), "a redirect was followed: {requests:?}");
    assert_eq!(proxied.try_iter().count(), 0, "the proxy was used");
    for (name, text) in [("check", read("check.txt")), ("log", read("run.txt")), ("/readyz", ready)]
    {
        assert!(text.contains(&shown), "{name}: {text}");
        let leaked = text.lines().find(|line| line.contains(MARK));
        assert_eq!(leaked, None, "{name}");
    }
}

#[test]
fn a_url_with_a_password_is_refused_and_not_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    write_configuration(folder, &format!("http://127.0.0.1:{MARK}@127.0.0.2:18082/token"));
    let mut check = program(folder, &["check"], 1, "check.txt");
    let status = check.wait().expect("a child");
    let output = std::fs::read_to_string(folder.join("check.txt")).expect("output");
    assert!(!status.success());
    assert!(output.contains("user name or password"), "{output}");
    assert!(!output.contains(MARK) && !output.contains("127.0.0.2"), "{output}");
}
