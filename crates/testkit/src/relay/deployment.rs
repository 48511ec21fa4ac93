//! A deployment under test: its topics, tables and configuration.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tempfile::TempDir;

use super::Relay;
use crate::guarded::Guarded;
use crate::kafka::KafkaBroker;
use crate::{REQUEST_MAX, last_lines, or_fail, scratch};

/// The regions of the default location table.
pub const REGIONS: [&str; 6] = ["au-syd", "eu-de", "eu-gb", "jp-tok", "us-east", "us-south"];

/// Topics, tables and configuration of one deployment. It starts the relays.
pub struct TestDeployment {
    pub input: String,
    pub prefix: String,
    pub quarantine: String,
    pub group: String,
    /// Source of the principals: a line of `[principals]`.
    pub principals: String,
    /// Workers of each relay; 1 by default.
    pub workers: usize,
    /// The relays' `bootstrap.servers`.
    pub bootstrap: String,
    /// Instances that are static members of the group; the others are dynamic ones.
    pub static_members: Vec<String>,
    /// Lines of `[kafka]` for the member's session.
    pub session: String,
    /// More lines of `[kafka]`.
    pub kafka: String,
    /// More lines of `[input]`.
    pub reading: String,
    /// Environment variables of each relay and command.
    pub environment: Vec<(String, String)>,
    /// Whether audit events have headers; true by default.
    pub event_headers: bool,
    /// Lines of `[integrity]`; the trail is sealed if there are any.
    pub integrity: String,
    /// The program that relays are started from.
    pub program: PathBuf,
    directory: TempDir,
    more: String,
}

impl TestDeployment {
    /// Creates the topics and writes the tables for relays of this program. Appends `more` to every
    /// relay's configuration.
    #[track_caller]
    pub fn create(
        program: &str,
        broker: &KafkaBroker,
        input_partitions: i32,
        principals: &str,
        more: &str,
    ) -> Self {
        let deployment = TestDeployment {
            input: broker.unique("changes"),
            prefix: format!("{}.", broker.unique("audit")),
            quarantine: broker.unique("quarantine"),
            group: broker.unique("group"),
            principals: "file = \"principals.jsonl\"".to_string(),
            workers: 1,
            bootstrap: broker.bootstrap().to_string(),
            static_members: Vec::new(),
            session: "\"session.timeout.ms\" = 6000\n\"heartbeat.interval.ms\" = 500\n".to_string(),
            kafka: String::new(),
            reading: String::new(),
            environment: Vec::new(),
            event_headers: true,
            integrity: String::new(),
            program: PathBuf::from(program),
            directory: or_fail(
                scratch().and_then(|folder| Ok(TempDir::with_prefix_in("relays-", folder)?)),
                format_args!("create a folder"),
            ),
            more: more.to_string(),
        };
        broker.create_topic(&deployment.input, input_partitions);
        for topic in deployment.outputs() {
            broker.create_topic(&topic, 3);
        }
        broker.create_topic_with(&deployment.quarantine, 2, &[("max.message.bytes", "2097152")]);
        deployment.write_principals(principals);
        deployment
    }

    /// Replaces the principals file.
    #[track_caller]
    pub fn write_principals(&self, principals: &str) {
        or_fail(
            fs::write(self.path("principals.jsonl"), principals).context("write"),
            format_args!("principals.jsonl"),
        );
    }

    /// The topic with the seals.
    pub fn checkpoints(&self) -> String {
        format!("{}checkpoints", self.prefix)
    }

    /// The output topics, in the order of [`REGIONS`].
    pub fn outputs(&self) -> Vec<String> {
        let topic = |region: &&str| format!("{}{region}", self.prefix);
        REGIONS.iter().map(topic).collect()
    }

    /// The path of a file of this deployment.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration of an instance and returns its path.
    #[track_caller]
    pub fn config(&self, instance: &str) -> PathBuf {
        let headers = match self.event_headers {
            // The default.
            true => "",
            false => "headers = false\n",
        };
        let integrity = match self.integrity.as_str() {
            "" => String::new(),
            lines => format!("[integrity]\n{lines}"),
        };
        let is_static = self.static_members.iter().any(|member| member == instance);
        let membership = if is_static { "static" } else { "dynamic" };
        let text = format!(
            "instance = \"{instance}\"\nmembership = \"{membership}\"\nworkers = {}\n[kafka]\n\"bootstrap.servers\" = \"{}\"\n\"broker.address.family\" = \"v4\"\n\"reconnect.backoff.max.ms\" = 500\n{}{}\n[input]\ntopic = \"{}\"\ngroup = \"{}\"\n{}\n[output]\ntopic_prefix = \"{}\"\nquarantine_topic = \"{}\"\n{headers}[principals]\n{}\n{integrity}[admin]\nlisten = \"127.0.0.1:0\"\n{}",
            self.workers,
            self.bootstrap,
            self.session,
            self.kafka,
            self.input,
            self.group,
            self.reading,
            self.prefix,
            self.quarantine,
            self.principals,
            self.more
        );
        let path = self.path(&format!("{instance}.toml"));
        or_fail(fs::write(&path, text).context("write"), format_args!("the configuration"));
        path
    }

    /// Runs a command of the relay until it ends. Fails the test at the time limit.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Output {
        or_fail(self.try_command(arguments), format_args!("{arguments:?}"))
    }

    fn try_command(&self, arguments: &[&str]) -> anyhow::Result<Output> {
        let (out, log) = (self.path("command.out"), self.path("command.log"));
        let mut child = Command::new(&self.program)
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&log)?)
            .spawn()?;
        let since = Instant::now();
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if since.elapsed() > REQUEST_MAX => {
                    child.kill()?;
                    child.wait()?;
                    bail!("the command took over {REQUEST_MAX:?}:\n{}", last_lines(&log));
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        Ok(Output { status, stdout: fs::read(out)?, stderr: fs::read(log)? })
    }

    /// Starts a relay and waits until its admin server answers.
    #[track_caller]
    pub fn start(&self, instance: &str) -> Relay {
        let log = self.path(&format!("{instance}.log"));
        let started = self.spawn(instance, log).and_then(|mut relay| {
            relay.admin = Some(relay.await_address()?);
            Ok(relay)
        });
        or_fail(started, format_args!("start relay {instance}"))
    }

    /// Starts a relay that logs to a new file. Does not wait.
    pub fn spawn(&self, instance: &str, log: PathBuf) -> anyhow::Result<Relay> {
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--config").arg(self.config(instance));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        self.spawn_command(&command, log)
    }

    /// Starts a relay by a command that becomes it. Does not wait.
    pub fn spawn_command(&self, command: &Command, log: PathBuf) -> anyhow::Result<Relay> {
        fs::write(&log, "")?;
        let process = Guarded::spawn(command, self.directory.path(), &log)?;
        Ok(Relay { process, log, admin: None })
    }
}
