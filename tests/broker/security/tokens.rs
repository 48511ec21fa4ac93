//! OAUTHBEARER: a relay gets its tokens from an endpoint over TLS and renews them before they
//! expire. The relay reports a refusing endpoint and writes no secret.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openssl::base64::encode_block;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use super::mechanisms::{assert_no_secret, assert_refused, assert_works};
use super::{MARK, RELAY, World, password, world};
use crate::ledger::{Ledger, change};
use crate::trail;
use audit_testkit::grants::{Grant, Operation, Resource};
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;
use audit_testkit::wire;

/// Lifetime of a token; a client renews it after four fifths. Long enough to connect on a busy
/// machine.
const LIFETIME: Duration = Duration::from_secs(15);
/// Tokens expire at whole seconds.
const SECOND: Duration = Duration::from_secs(1);

/// An endpoint that issues a token for the relay's secret.
struct Endpoint {
    port: u16,
    given: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Serves on its own thread until the test process ends.
    fn start(world: &World) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mut tls = SslAcceptor::mozilla_intermediate(SslMethod::tls_server()).expect("TLS");
        let identity = world.path("broker.pem");
        tls.set_private_key_file(&identity, SslFiletype::PEM).expect("a key");
        tls.set_certificate_file(world.path("broker.crt"), SslFiletype::PEM)
            .expect("a certificate");
        let (tls, given) = (tls.build(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&given);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that does not trust the certificate disconnects.
                let Ok(mut stream) = tls.accept(stream) else {
                    continue;
                };
                if answer(&mut stream).unwrap_or(false) {
                    counted.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        Endpoint { port, given }
    }

    fn kafka(&self, world: &World, secret: &str) -> String {
        let more = format!(
            "\"sasl.oauthbearer.method\" = \"oidc\"\n\
             \"sasl.oauthbearer.token.endpoint.url\" = \"https://localhost:{}/token\"\n\
             \"sasl.oauthbearer.client.id\" = \"{RELAY}\"\n\
             \"sasl.oauthbearer.client.secret\" = \"{secret}\"\n\
             \"sasl.oauthbearer.scope\" = \"kafka audit\"\n\
             \"https.ca.location\" = {:?}\n",
            self.port,
            world.path("authority.pem"),
        );
        world.sasl("OAUTHBEARER", &more)
    }
}

/// Answers one request. Returns whether it issued a token.
fn answer(stream: &mut (impl Read + Write)) -> std::io::Result<bool> {
    let request = read_request(stream)?;
    let credentials = encode_block(format!("{RELAY}:{}", password(RELAY)).as_bytes());
    let allowed = request.starts_with("POST /token HTTP/1.1\r\n")
        && request.contains(&format!("Basic {credentials}"))
        && request.ends_with("grant_type=client_credentials&scope=kafka+audit");
    let (status, body) = match allowed {
        true => (
            "200 OK",
            format!(
                "{{\"access_token\":\"{}\",\"token_type\":\"bearer\",\"expires_in\":{}}}",
                token(),
                LIFETIME.as_secs()
            ),
        ),
        // Echoes the request, as some endpoints do.
        false => ("401 Unauthorized", request),
    };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )?;
    stream.flush()?;
    Ok(allowed)
}

fn read_request(stream: &mut impl Read) -> std::io::Result<String> {
    let mut request = String::new();
    let mut buffer = [0; 4_096];
    loop {
        let read = stream.read(&mut buffer)?;
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let length = request
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse::<usize>().ok());
        let body = request.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        if read == 0 || length.is_some_and(|length| body >= length && request.contains("\r\n\r\n"))
        {
            return Ok(request);
        }
    }
}

/// An unsigned token, which the test broker accepts.
fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time").as_secs();
    let part = |json: String| {
        let text = encode_block(json.as_bytes());
        text.trim_end_matches('=').replace('+', "-").replace('/', "_")
    };
    let claims =
        format!("{{\"sub\":\"{RELAY}\",\"iat\":{now},\"exp\":{}}}", now + LIFETIME.as_secs());
    format!("{}.{}.", part("{\"alg\":\"none\"}".to_string()), part(claims))
}

#[test]
fn a_relay_works_with_tokens_and_renews_them() {
    let world = world();
    let endpoint = Endpoint::start(&world);
    let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
    deployment.bootstrap = world.broker.address("SASL");
    let kafka = endpoint.kafka(&world, &password(RELAY));
    deployment.kafka = format!("{kafka}debug = \"security,conf,eos\"\n");
    seal(&world, &mut deployment);
    assert_works(&world, &deployment, "oauthbearer");
    let (is_good, said) = trail::resume(&deployment, &[]);
    assert!(is_good && said.contains("goes on"), "{said}");
    let relay = deployment.start("renewing");
    relay.await_ready();
    let before = endpoint.given.load(Ordering::SeqCst);
    let ready = Instant::now();
    // Its consumer, its producer, and the client that fetches committed offsets. The one that reads
    // seals asks when it is used again.
    relay.await_page("/readyz", |_, _| endpoint.given.load(Ordering::SeqCst) >= before + 3);
    // The broker closes connections with an expired token: those that still work afterwards have a
    // renewed one.
    let rest = (LIFETIME + SECOND).saturating_sub(ready.elapsed());
    std::thread::sleep(rest);
    assert_each_client_works(&world, &deployment, &relay);
    assert_no_secret(&world, "renewing", &relay.log());
}

/// Seals the trail, with the right that this needs.
#[track_caller]
fn seal(world: &World, deployment: &mut TestDeployment) {
    trail::seal(&world.broker, deployment);
    world.broker.grant(&[Grant {
        principal: RELAY.to_string(),
        operation: Operation::Read,
        resource: Resource::Topic,
        name: deployment.checkpoints(),
        prefix: false,
    }]);
}

/// Uses every client: a record is read but cannot be written, so the relay fetches the committed
/// offsets, and reads the seals; then it can be written.
#[track_caller]
fn assert_each_client_works(world: &World, deployment: &TestDeployment, relay: &Relay) {
    let plain = world.broker.bootstrap();
    let broker: SocketAddr = plain.parse().expect("an address");
    wire::deny_write(broker, RELAY, &deployment.quarantine).expect("withdrawn");
    // Some of these are quarantined.
    let records = (50..60).map(change);
    produce(plain, &deployment.input, records);
    relay.await_metric("audit_relay_transactions_total", "aborted", |aborted| aborted >= 1.0);
    wire::allow_again(broker, &deployment.quarantine).expect("given back");
    relay.await_metric("audit_relay_records_read_total", "", |read| read == 10.0);
    relay.await_ready();
    Ledger::of(plain, deployment, 60).assert_clean();
    trail::assert_proven(&world.broker, deployment);
}

#[test]
fn a_refusing_endpoint_is_reported() {
    let world = world();
    let endpoint = Endpoint::start(&world);
    let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
    deployment.bootstrap = world.broker.address("SASL");
    let url = format!("token endpoint https://localhost:{}/token: ", endpoint.port);
    let wrong = endpoint.kafka(&world, &format!("{MARK}-wrong"));
    let untrusted = endpoint.kafka(&world, &password(RELAY)).replace(
        &format!("\"https.ca.location\" = {:?}", world.path("authority.pem")),
        &format!("\"https.ca.location\" = {:?}", world.path("untrusted.pem")),
    );
    for (name, kafka, why) in [
        ("refused", wrong, "responded 401 Unauthorized; check client id, secret and scope"),
        ("untrusted", untrusted, "certificate verify failed"),
    ] {
        deployment.kafka = format!("{kafka}debug = \"security,conf\"\n");
        assert_refused(&world, &deployment, name, &[&url, why]);
    }
}
