//! Security tests on a real broker with a listener for every mechanism, an authorizer and its own
//! certificates.

mod manifest;
mod mechanisms;
mod rights;
mod tokens;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tempfile::TempDir;

use crate::PROGRAM;
use crate::ledger::PRINCIPALS;
use audit_testkit::certificates::Authority;
use audit_testkit::grants::{Grant, Operation, Resource};
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::TestDeployment;
use audit_testkit::scratch;

/// The principal with all rights that a relay needs, for every mechanism.
const RELAY: &str = "relay";
/// Number of PLAIN users for the tests of rights.
const CASES: usize = 16;
/// Number of PLAIN users without one of the printed rights.
const MANIFEST_USERS: usize = 13;

/// Prefix of every secret, for finding secrets in a relay's output.
const MARK: &str = "s3cr3t";

fn password(user: &str) -> String {
    format!("{MARK}-of-{user}")
}

/// The broker and the folder of its certificates.
struct World {
    broker: KafkaBroker,
    folder: TempDir,
}

/// Returns the broker that concurrent tests share. It stops with the last of them.
fn world() -> Arc<World> {
    static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let world = Arc::new(World::start().expect("a broker with security"));
        *shared = Arc::downgrade(&world);
        world
    })
}

impl World {
    fn start() -> anyhow::Result<World> {
        let folder = TempDir::with_prefix_in("security-", scratch()?)?;
        write_certificates(folder.path())?;
        let listener = |name: &str, protocol: &str| (name.to_string(), protocol.to_string());
        let credentials = password(RELAY);
        let broker = KafkaBroker::start(BrokerOptions {
            properties: properties(folder.path()),
            listeners: vec![
                listener("TLS", "SSL"),
                listener("MUTUAL", "SSL"),
                listener("SASL", "SASL_SSL"),
            ],
            scram: vec![format!("SCRAM-SHA-512=[name={RELAY},password={credentials}]")],
            ..BrokerOptions::default()
        })?;
        Ok(World { broker, folder })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Creates a deployment with all its rights for [`RELAY`].
    fn deployment(&self, more: &str) -> TestDeployment {
        let deployment = TestDeployment::create(PROGRAM, &self.broker, 1, PRINCIPALS, more);
        self.broker.grant(&needed(&deployment, RELAY));
        deployment
    }

    /// `[kafka]` for the SASL listener.
    fn sasl(&self, mechanism: &str, more: &str) -> String {
        format!(
            "\"security.protocol\" = \"SASL_SSL\"\n\"sasl.mechanism\" = \"{mechanism}\"\n{}{more}",
            self.trust()
        )
    }

    fn trust(&self) -> String {
        format!("\"ssl.ca.location\" = {:?}\n", self.path("authority.pem"))
    }
}

/// Returns exactly the rights that `manifest` prints for a relay.
fn needed(deployment: &TestDeployment, principal: &str) -> Vec<Grant> {
    let grant = |operation, resource, name: &str, prefix| Grant {
        principal: principal.to_string(),
        operation,
        resource,
        name: name.to_string(),
        prefix,
    };
    vec![
        grant(Operation::Read, Resource::Topic, &deployment.input, false),
        grant(Operation::Write, Resource::Topic, &deployment.prefix, true),
        grant(Operation::Write, Resource::Topic, &deployment.quarantine, false),
        grant(Operation::Read, Resource::Group, &deployment.group, false),
        grant(Operation::Write, Resource::TransactionalId, &deployment.group, true),
    ]
}

fn write_certificates(folder: &Path) -> anyhow::Result<()> {
    let authority = Authority::new()?;
    let (broker, relay) = (authority.issue("broker")?, authority.issue(RELAY)?);
    let untrusted = Authority::new()?;
    let files = [
        ("authority.pem", authority.certificate()?),
        ("untrusted.pem", untrusted.certificate()?),
        ("broker.pem", format!("{}{}", broker.key, broker.certificate)),
        ("broker.crt", broker.certificate),
        ("relay.key", relay.key),
        ("relay.pem", relay.certificate),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn properties(folder: &Path) -> Vec<(String, String)> {
    const MODULE: &str = "org.apache.kafka.common.security";
    let users = (0..CASES).map(|number| format!("case{number}"));
    let users = users.chain((0..MANIFEST_USERS).map(|number| format!("without{number}")));
    let users = users.chain([RELAY, "manifest"].map(String::from));
    let users: String = users.map(|user| format!(" user_{user}=\"{}\"", password(&user))).collect();
    let file = |name: &str| folder.join(name).display().to_string();
    let properties = [
        // Clients of the listener without security (the test and the broker itself) may do
        // everything.
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_string(),
        ),
        ("super.users", "User:ANONYMOUS".to_string()),
        ("ssl.keystore.type", "PEM".to_string()),
        ("ssl.keystore.location", file("broker.pem")),
        ("ssl.truststore.type", "PEM".to_string()),
        ("ssl.truststore.location", file("authority.pem")),
        ("listener.name.mutual.ssl.client.auth", "required".to_string()),
        ("listener.name.mutual.ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/".to_string()),
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512,OAUTHBEARER".to_string()),
        (
            "listener.name.sasl.plain.sasl.jaas.config",
            format!("{MODULE}.plain.PlainLoginModule required{users};"),
        ),
        (
            "listener.name.sasl.scram-sha-512.sasl.jaas.config",
            format!("{MODULE}.scram.ScramLoginModule required;"),
        ),
        (
            "listener.name.sasl.oauthbearer.sasl.jaas.config",
            format!("{MODULE}.oauthbearer.OAuthBearerLoginModule required;"),
        ),
        // Makes the broker close a connection when its token expires, unless the client
        // reauthenticates.
        ("listener.name.sasl.oauthbearer.connections.max.reauth.ms", "3600000".to_string()),
    ];
    properties.map(|(name, value)| (name.to_string(), value)).into()
}
