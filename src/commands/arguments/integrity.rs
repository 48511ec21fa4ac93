//! The arguments of the commands around a sealed trail.

use std::path::PathBuf;

use audit_chain::name::{Origin, Set};
use clap::{Args, Subcommand};

use super::ConfigArgs;

/// The exit codes of `verify`.
pub(super) const VERIFY_EXITS: &str = "Exit codes of this command:
  0   All that was asked for is proven.
  1   Evidence of tampering or inconsistency.
  2   The command line is invalid.
  3   The verification could not be finished: no verdict.
  4   Nothing wrong was seen, but not all that was asked for can be proven.";

/// Arguments of `resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The configuration of the relays, which must not run.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// Continue this partition of the input at the end of its last seal, so that nothing is lost
    /// or doubled. May be given several times.
    #[arg(long = "partition", value_name = "N")]
    pub partitions: Vec<i32>,
    /// Continue at the group's committed offset instead. The records between are never judged, and
    /// the seal says so.
    #[arg(long, requires = "partitions", conflicts_with = "new_topic")]
    pub skip_to_committed: bool,
    /// The input topic was deleted and created again: begin at the first record of the new one, in
    /// the next epoch of the trail.
    #[arg(long, requires = "partitions")]
    pub new_topic: bool,
}

/// What `key` does.
#[derive(Debug, Clone, Subcommand)]
pub enum KeyCommand {
    /// Make a private key (PKCS#8 in PEM), and print its public key for the auditors.
    New {
        /// The name of the trail.
        #[command(flatten)]
        origin: OriginArgs,
        /// File to write. It must not exist.
        file: PathBuf,
    },
    /// Print the public key of a private key.
    Show {
        /// The name of the trail.
        #[command(flatten)]
        origin: OriginArgs,
        /// File with the private key.
        file: PathBuf,
    },
    /// Make the successor of a key, and say how to replace it.
    Rotate {
        /// The name of the trail.
        #[command(flatten)]
        origin: OriginArgs,
        /// File with the key that signs now.
        old: PathBuf,
        /// File to write. It must not exist.
        new: PathBuf,
    },
}

/// The name of a trail.
#[derive(Debug, Clone, Args)]
pub struct OriginArgs {
    /// Name of the trail, and of its keys: `integrity.origin` of the configuration.
    #[arg(long, value_name = "NAME", env = "AUDIT_RELAY_INTEGRITY__ORIGIN")]
    pub origin: Origin,
}

/// Arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Trust file: the public keys of the trail, one in a line, as `audit-relay key show` prints
    /// them.
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,
    /// Folder with the files of an export, instead of a cluster.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["bootstrap_servers", "properties", "properties_file"], required_unless_present = "bootstrap_servers")]
    pub files: Option<PathBuf>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The topics.
    #[command(flatten)]
    pub topics: TopicArgs,
    /// How many partitions the input topic has at least. Each must have seals.
    #[arg(long, value_name = "N")]
    pub partitions: Option<u32>,
    /// File with anchors, which were kept outside the cluster. May be given several times.
    #[arg(long, value_name = "FILE")]
    pub anchors: Vec<PathBuf>,
    /// Without an anchor, the trail counts as not proven (exit code 4).
    #[arg(long)]
    pub require_anchor: bool,
    /// Folder that remembers the last seals between verifications: the auditor's own witness.
    #[arg(long, value_name = "FOLDER")]
    pub state: Option<PathBuf>,
    /// Begin behind this seal of a set, e.g. `changes/3#1:4711`. May be given several times.
    #[arg(long, value_name = "SET:SEAL", value_parser = seal)]
    pub from: Vec<(Set, u64)>,
    /// With an older last seal, the trail counts as not proven (exit code 4).
    #[arg(long, value_name = "SECONDS")]
    pub max_age: Option<u64>,
    /// Go on verifying what comes to the trail, until there is evidence.
    #[arg(long, requires = "state", conflicts_with = "files")]
    pub follow: bool,
    /// With `--follow`, pause between two verifications, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, requires = "follow", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub every: u64,
    /// Print one JSON object instead of text; with `--follow` one for each verification that finds
    /// something new, each a line.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Folder to write to: one file for each partition of each topic. None of them may exist.
    pub folder: PathBuf,
    /// The cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// The topics.
    #[command(flatten)]
    pub topics: TopicArgs,
}

/// A cluster to read from.
#[derive(Debug, Clone, Args)]
pub struct ClusterArgs {
    /// Brokers: host:port, comma separated.
    #[arg(long, value_name = "ADDRESSES")]
    pub bootstrap_servers: Option<String>,
    /// A librdkafka property, such as `security.protocol=SSL`. Not for secrets, which others see
    /// in the list of processes.
    #[arg(long = "property", value_name = "NAME=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// File with librdkafka properties, one NAME=VALUE in a line.
    #[arg(long, value_name = "FILE")]
    pub properties_file: Option<PathBuf>,
}

/// The topics of a trail.
#[derive(Debug, Clone, Args)]
pub struct TopicArgs {
    /// Prefix of the output topics, followed by the region.
    #[arg(long, value_name = "PREFIX", default_value = "audit.events.")]
    pub topic_prefix: String,
    /// The quarantine topic.
    #[arg(long, value_name = "TOPIC", default_value = "audit.quarantine")]
    pub quarantine_topic: String,
}

/// Reads `NAME=VALUE`.
fn property(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_string(), value.to_string()))
}

/// Reads `SET:SEAL`, the seal after which events are verified.
fn seal(text: &str) -> Result<(Set, u64), String> {
    let (set, seal) = text.rsplit_once(':').ok_or("expected SET:SEAL")?;
    let set = set.parse().map_err(|error| format!("{error}"))?;
    Ok((set, seal.parse().map_err(|error| format!("the number of the seal: {error}"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_names_set_and_seal() {
        let (set, number) = seal("changes/3#1:17").expect("both");
        assert_eq!((set.as_str(), number), ("changes/3#1", 17));
        for bad in ["changes/3#1", "changes/3#1:", "changes:17", "changes/3#1:-1"] {
            assert!(seal(bad).is_err(), "{bad}");
        }
    }
}
