//! OAUTHBEARER: a relay gets its tokens from an endpoint, over TLS, and gets new ones before they
//! expire. An endpoint that refuses is named, and no secret is told.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use openssl::base64::encode_block;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use super::mechanisms::{carries, is_turned_away, tells_no_secret};
use super::{MARK, RELAY, World, password, world};
use crate::ledger::{Ledger, change};
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;
use audit_testkit::wire;

/// How long tokens last: a client asks for the next one when four fifths of it are over. Long
/// enough to connect with on a busy machine.
const LIFETIME: Duration = Duration::from_secs(15);
/// Tokens expire at whole ones.
const SECOND: Duration = Duration::from_secs(1);

/// An endpoint that gives a token to whoever has the relay's secret.
struct Endpoint {
    port: u16,
    given: Arc<AtomicUsize>,
}

impl Endpoint {
    /// Serves until the test process ends; a thread of it waits for connections and does nothing
    /// else.
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
                // Somebody who does not trust us hangs up in between.
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

/// Answers one request; whether with a token.
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
        // As some do: what was sent comes back.
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

/// A token without a signature, as the test broker takes them.
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
fn tokens_carry_a_relay_and_are_renewed() {
    let world = world();
    let endpoint = Endpoint::start(&world);
    let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
    deployment.bootstrap = world.broker.address("SASL");
    let kafka = endpoint.kafka(&world, &password(RELAY));
    deployment.kafka = format!("{kafka}debug = \"security,conf,eos\"\n");
    carries(&world, &deployment, "oauthbearer");
    let relay = deployment.start("renewing");
    relay.await_ready();
    let before = endpoint.given.load(Ordering::SeqCst);
    let ready = Instant::now();
    // Its consumer, its producer, and what asks where the group has come to.
    relay.await_page("/readyz", |_, _| endpoint.given.load(Ordering::SeqCst) >= before + 3);
    // The broker ends connections whose token has expired: from then on each that still works has
    // shown another one.
    let rest = (LIFETIME + SECOND).saturating_sub(ready.elapsed());
    std::thread::sleep(rest);
    each_client_works(&world, &deployment, &relay);
    tells_no_secret(&world, "renewing", &relay.log());
}

/// A record is read and cannot be written, so the group is asked for its positions; then it can be.
#[track_caller]
fn each_client_works(world: &World, deployment: &TestDeployment, relay: &Relay) {
    let plain = world.broker.bootstrap();
    let broker: SocketAddr = plain.parse().expect("an address");
    wire::deny_write(broker, RELAY, &deployment.quarantine).expect("withdrawn");
    // To be quarantined.
    let records = (50..60).map(change);
    produce(plain, &deployment.input, records);
    relay.await_metric("audit_relay_transactions_total", "aborted", |aborted| aborted >= 1.0);
    wire::allow_again(broker, &deployment.quarantine).expect("given back");
    relay.await_metric("audit_relay_records_read_total", "", |read| read == 10.0);
    relay.await_ready();
    Ledger::of(plain, deployment, 60).assert_clean();
}

#[test]
fn an_endpoint_that_refuses_is_named() {
    let world = world();
    let endpoint = Endpoint::start(&world);
    let mut deployment = world.deployment("[log]\nlevel = \"debug\"\n");
    deployment.bootstrap = world.broker.address("SASL");
    let url = format!("token endpoint https://localhost:{}/token: ", endpoint.port);
    let wrong = endpoint.kafka(&world, &format!("{MARK}-wrong"));
    let untrusted = endpoint.kafka(&world, &password(RELAY)).replace(
        &format!("\"https.ca.location\" = {:?}", world.path("authority.pem")),
        &format!("\"https.ca.location\" = {:?}", world.path("stranger.pem")),
    );
    for (name, kafka, why) in [
        ("refused", wrong, "responded 401 Unauthorized; check client id, secret and scope"),
        ("untrusted", untrusted, "certificate verify failed"),
    ] {
        deployment.kafka = format!("{kafka}debug = \"security,conf\"\n");
        is_turned_away(&world, &deployment, name, &[&url, why]);
    }
}
