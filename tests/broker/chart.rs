//! The relay lives with the security context that the Helm chart renders: as its user, without
//! capabilities, on a read-only root that holds only libraries and what the pod mounts.
//!
//! What is applied comes from the rendered StatefulSet; what must come of it is asserted on the
//! running process. A seccomp profile is the container runtime's, and is not applied here.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PROGRAM;
use crate::ledger::{Ledger, PRINCIPALS, change};
use audit_testkit::REQUEST_MAX;
use audit_testkit::kafka::{BrokerOptions, KafkaBroker};
use audit_testkit::relay::{Relay, TestDeployment};
use audit_testkit::topics::produce;

/// Names the folder with the rendered `statefulset.json` and `relay.toml`.
const RENDERED: &str = "AUDIT_RELAY_TEST_CHART";
/// The user of the image and of the restricted security context.
const USER: &str = "65532";

/// Runs in a mount namespace of its own: makes a root of libraries, the program and the pod's
/// files, and goes on in it as the rest of the arguments says.
const ENTER: &str = r#"
set -eu
root=$1 program=$2 files=$3 options=$4; shift 4
mount -t tmpfs -o mode=755 tmpfs "$root"
for folder in usr bin lib lib64; do
    if [ -L "/$folder" ]; then cp -P "/$folder" "$root/$folder"; continue; fi
    [ -d "/$folder" ] || continue
    mkdir "$root/$folder"
    mount --bind "/$folder" "$root/$folder"
    mount -o remount,bind,ro "$root/$folder"
done
mkdir "$root/proc" "$root/dev"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
cp -a "$files/." "$root"
touch "$root/audit-relay"
mount --bind "$program" "$root/audit-relay"
mount -o "remount,$options" "$root"
exec chroot "$root" "$@"
"#;

/// What the chart rendered.
struct Chart {
    pod: Value,
    relay_toml: String,
    config: toml::Table,
}

impl Chart {
    fn read() -> Chart {
        let folder = std::env::var_os(RENDERED);
        let folder =
            folder.unwrap_or_else(|| panic!("{RENDERED} is not set: run deploy/helm/test.sh"));
        let read = |name: &str| {
            let path = Path::new(&folder).join(name);
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let set: Value = serde_json::from_str(&read("statefulset.json")).expect("JSON");
        let relay_toml = read("relay.toml");
        let config = relay_toml.parse().expect("TOML");
        Chart { pod: set["spec"]["template"]["spec"].clone(), relay_toml, config }
    }

    fn container(&self) -> &Value {
        &self.pod["containers"][0]
    }

    fn setting(&self, section: &str, key: &str) -> String {
        self.config[section][key].as_str().expect("text").to_string()
    }

    /// A number of the pod's security context, as text.
    fn id(&self, name: &str) -> String {
        self.pod["securityContext"][name].to_string()
    }

    /// Writes the pod's files below a folder, with the owner and mode that their volumes give them.
    fn write_files(&self, folder: &Path) {
        let devices = fs::read_to_string(audit_cases::root().join("deploy/devices.jsonl"));
        for (path, text) in [
            (self.config_path(), self.relay_toml.clone()),
            (self.setting("principals", "file"), PRINCIPALS.to_string()),
            (self.setting("devices", "file"), devices.expect("deploy/devices.jsonl")),
        ] {
            let written = folder.join(path.trim_start_matches('/'));
            fs::create_dir_all(written.parent().expect("a folder")).expect("created");
            fs::write(&written, text).expect("written");
            let group = self.pod["securityContext"]["fsGroup"].as_u64().map(|group| group as u32);
            chown(&written, Some(0), group).expect("the owner can be set");
            let mode = fs::Permissions::from_mode(self.mode(&path));
            fs::set_permissions(&written, mode).expect("the mode can be set");
        }
    }

    /// The file that the rendered arguments name.
    fn config_path(&self) -> String {
        let arguments = self.container()["args"].as_array().expect("arguments");
        arguments.last().and_then(Value::as_str).expect("the configuration's path").to_string()
    }

    /// The mode of a file in the volume that is mounted at its folder.
    fn mode(&self, path: &str) -> u32 {
        let folder = Path::new(path).parent().and_then(Path::to_str).expect("a folder");
        let named = |list: &Value, key: &str, value: &str| {
            let mut entries = list.as_array().into_iter().flatten();
            entries.find(|entry| entry[key] == value).cloned()
        };
        let mount = named(&self.container()["volumeMounts"], "mountPath", folder);
        let mount = mount.unwrap_or_else(|| panic!("nothing is mounted at {folder}"));
        let name = mount["name"].as_str().expect("a name");
        let volume = named(&self.pod["volumes"], "name", name).expect("a volume");
        let source = volume.get("secret").or(volume.get("configMap")).expect("a source");
        source["defaultMode"].as_u64().unwrap_or(0o644) as u32
    }

    /// The command that applies the security context and becomes the relay.
    fn command(&self, root: &Path, files: &Path, environment: &[(&str, String)]) -> Command {
        let context = &self.container()["securityContext"];
        let options = if context["readOnlyRootFilesystem"] == true { "ro" } else { "rw" };
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ENTER, "enter"]);
        command.args([root, Path::new(PROGRAM), files]).arg(options);
        command.args(["setpriv", "--reuid", &self.id("runAsUser")]);
        command.args(["--regid", &self.id("runAsGroup"), "--groups", &self.id("fsGroup")]);
        if context["capabilities"]["drop"] == serde_json::json!(["ALL"]) {
            command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
        }
        if context["allowPrivilegeEscalation"] == false {
            command.arg("--no-new-privs");
        }
        command.args(["env", "-i"]);
        command.args(environment.iter().map(|(name, value)| format!("{name}={value}")));
        command.arg("/audit-relay");
        let arguments = self.container()["args"].as_array().expect("arguments");
        command.args(arguments.iter().map(|argument| argument.as_str().expect("text")));
        command
    }
}

/// The topics of the rendered configuration, on a broker of their own.
fn deployment(chart: &Chart, broker: &KafkaBroker) -> TestDeployment {
    let mut deployment = TestDeployment::create(PROGRAM, broker, 1, PRINCIPALS, "");
    deployment.input = chart.setting("input", "topic");
    deployment.group = chart.setting("input", "group");
    deployment.prefix = chart.setting("output", "topic_prefix");
    deployment.quarantine = chart.setting("output", "quarantine_topic");
    broker.create_topic(&deployment.input, 3);
    deployment.outputs().iter().for_each(|topic| broker.create_topic(topic, 3));
    broker.create_topic_with(&deployment.quarantine, 2, &[("max.message.bytes", "2097152")]);
    deployment
}

/// Waits until the relay has logged where it listens.
#[track_caller]
fn await_admin(relay: &mut Relay) {
    let since = Instant::now();
    while !relay.find_admin() {
        assert_eq!(relay.ended().expect("asked"), None, "{}", relay.log());
        assert!(since.elapsed() < REQUEST_MAX, "{}", relay.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A line of `/proc/<pid>/status`, words separated by single blanks.
fn status(path: PathBuf, name: &str) -> String {
    let text = fs::read_to_string(path).expect("the status");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let words: Vec<&str> = line.unwrap_or_else(|| panic!("no {name}")).split_whitespace().collect();
    words.join(" ")
}

/// The relay has the user, no capabilities, and a root on which it can write nothing.
fn assert_restricted(relay: &Relay) {
    for (name, expected) in [
        ("Uid", [USER; 4].join(" ")),
        ("Gid", [USER; 4].join(" ")),
        ("Groups", USER.to_string()),
        ("CapInh", "0".repeat(16)),
        ("CapPrm", "0".repeat(16)),
        ("CapEff", "0".repeat(16)),
        ("CapBnd", "0".repeat(16)),
        ("CapAmb", "0".repeat(16)),
        ("NoNewPrivs", "1".to_string()),
    ] {
        assert_eq!(status(relay.proc("status"), name), expected, "{name}");
    }
    let mounts = fs::read_to_string(relay.proc("mounts")).expect("the mounts");
    let root = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let root = root.into_iter().find(|fields| fields[1] == "/").expect("a root");
    assert_eq!(root[3].split(',').next(), Some("ro"), "{mounts}");
    let refused = fs::write(relay.proc("root/probe"), "").expect_err("the root is read-only");
    assert_eq!(refused.kind(), ErrorKind::ReadOnlyFilesystem);
}

#[test]
#[ignore = "needs root and a rendered chart: deploy/helm/test.sh runs it"]
fn the_relay_lives_with_the_security_context_of_the_chart() {
    const RECORDS: u64 = 300;
    let user = status(PathBuf::from("/proc/self/status"), "Uid");
    assert!(user.starts_with("0 "), "only root can change the user and the root folder");
    let chart = Chart::read();
    let broker = KafkaBroker::start(BrokerOptions::default()).expect("a broker");
    let deployment = deployment(&chart, &broker);
    produce(broker.bootstrap(), &deployment.input, (0..RECORDS).map(change));
    let (root, files) = (deployment.path("root"), deployment.path("files"));
    fs::create_dir(&root).expect("created");
    chart.write_files(&files);
    // What the test must choose: the broker's port, and a free one for itself.
    let environment = [
        ("AUDIT_RELAY_KAFKA__BOOTSTRAP_SERVERS", broker.bootstrap().to_string()),
        ("AUDIT_RELAY_ADMIN__LISTEN", "127.0.0.1:0".to_string()),
    ];
    let command = chart.command(&root, &files, &environment);
    let mut relay =
        deployment.spawn_command(&command, deployment.path("chart.log")).expect("started");
    await_admin(&mut relay);
    relay.await_metric("audit_relay_records_read_total", "", |read| read == RECORDS as f64);
    relay.await_ready();
    assert_restricted(&relay);
    relay.signal("TERM");
    assert!(relay.wait().success(), "{}", relay.log());
    Ledger::of(broker.bootstrap(), &deployment, RECORDS).assert_clean();
}
