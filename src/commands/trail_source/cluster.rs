//! A trail in the topics of a cluster.

use anyhow::{Context, ensure};

use crate::commands::arguments::ClusterArgs;
use crate::kafka::trail_reader::TrailReader;

/// Creates the client. It does not connect yet.
pub(in crate::commands) fn connect(arguments: &ClusterArgs) -> anyhow::Result<TrailReader> {
    let properties = properties(arguments)?;
    ensure!(
        properties.iter().any(|(name, _)| name == "bootstrap.servers"),
        "no cluster to read from: name its brokers with --bootstrap-servers"
    );
    TrailReader::new(properties.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Returns the properties of the client: those of the file, then those of the command line.
fn properties(arguments: &ClusterArgs) -> anyhow::Result<Vec<(String, String)>> {
    let mut properties = Vec::new();
    if let Some(path) = &arguments.properties_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("read the properties {}", path.display()))?;
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        for (number, line) in lines.enumerate() {
            // The line itself may hold a secret.
            let property = line.split_once('=').with_context(|| {
                format!("{}: property {} is not NAME=VALUE", path.display(), number + 1)
            })?;
            properties.push((property.0.trim().to_string(), property.1.trim().to_string()));
        }
    }
    let named = arguments.properties.iter().map(|(name, value)| (name.clone(), value.clone()));
    properties.extend(named);
    let servers = arguments.bootstrap_servers.iter();
    properties.extend(servers.map(|servers| ("bootstrap.servers".to_string(), servers.clone())));
    Ok(properties)
}
