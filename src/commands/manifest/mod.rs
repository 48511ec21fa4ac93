//! `manifest`: prints what the cluster must have for a configuration, in the form of the tool that
//! creates it. It reads the configuration and the location table, and connects to nothing.

mod script;
mod strimzi;

use anyhow::{Context, ensure};

use crate::commands::arguments::{ManifestArgs, ManifestFormat, ManifestPart};
use crate::commands::exit::Unusable;
use crate::commands::{load_config, print};
use crate::deployment::{Deployment, FileProblems};
use crate::kafka::check::demanded::{
    DemandedRight, DemandedTopic, Size, demanded_rights, demanded_topics,
};
use crate::kafka::check::requirements::Role;
use crate::quarantine::outcomes;

/// The compacted topics of reference tables are small; a few partitions are read in parallel.
const TABLE_PARTITIONS: u32 = 3;

/// What the cluster must have, as far as it was asked for.
struct Manifest {
    topics: Vec<DemandedTopic>,
    rights: Vec<DemandedRight>,
    /// The brokers of the configuration.
    bootstrap_servers: String,
}

/// Prints the manifest.
///
/// # Errors
/// Fails if the configuration is invalid, or if the events would not spread evenly.
pub fn manifest(arguments: &ManifestArgs) -> anyhow::Result<()> {
    let (input, output) = (arguments.partitions, arguments.output_partitions);
    ensure!(
        input % output == 0,
        "--output-partitions {output} does not divide --partitions {input}: the output partition is the input's modulo {output}, so some would get more events than others; choose a divisor of {input}"
    );
    let config = load_config(&arguments.config)?;
    let config = match &arguments.into {
        Some(prefix) => config.replayed_into(prefix),
        None => config,
    };
    let topics = Deployment::topics(&config).map_err(|FileProblems(problems)| {
        Unusable::new(arguments.config.config.is_some(), problems)
    })?;
    let size = Size {
        input_partitions: input,
        output_partitions: output,
        table_partitions: TABLE_PARTITIONS,
        replicas: arguments.replicas,
    };
    let outcomes = arguments.replay.then(|| outcomes::topic(&topics.quarantine));
    let outcomes = outcomes.as_deref();
    let mut manifest = Manifest {
        topics: demanded_topics(&config, &topics, outcomes, size),
        rights: demanded_rights(&config, &topics, outcomes),
        bootstrap_servers: config.kafka.bootstrap_servers().to_string(),
    };
    if arguments.into.is_some() {
        keep_replayed(&mut manifest.topics);
    }
    match arguments.only {
        Some(ManifestPart::Topics) => manifest.rights.clear(),
        Some(ManifestPart::Rights) => manifest.topics.clear(),
        None => {}
    }
    let text = match arguments.format {
        ManifestFormat::Kafka => script::script(&manifest, &arguments.principal),
        ManifestFormat::Strimzi => {
            strimzi::resources(&manifest, &arguments.principal, &arguments.cluster)
        }
    };
    print(text.trim_end()).context("write the manifest")
}

/// Lets the topics of a replay keep everything: events have the times of their records, and old
/// ones would be deleted at once.
fn keep_replayed(topics: &mut [DemandedTopic]) {
    let written = topics.iter_mut().filter(|it| matches!(it.role, Role::Output | Role::Quarantine));
    let settings = written.flat_map(|topic| &mut topic.settings);
    for (_, value) in settings.filter(|(name, _)| *name == "retention.ms") {
        *value = "-1".to_string();
    }
}
