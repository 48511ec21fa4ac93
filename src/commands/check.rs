//! `check`: checks the configuration and, on request, whether the cluster meets the relay's
//! requirements.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::bail;
use serde::Serialize;
use serde_json::{Map, Value};

use super::oddities::{self, Odd};
use crate::commands::arguments::CheckArgs;
use crate::commands::exit::Unusable;
use crate::commands::print;
use crate::config::{Config, TableSource};
use crate::deployment::Deployment;
use crate::kafka::check::{Finding, check_cluster, check_transactions, check_writing};
use crate::logging;
use audit_judge::catalog::Action;

/// The result, in the form of `--json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    ok: bool,
    /// `None` if everything came from the environment.
    configuration: Option<String>,
    /// Doubtful settings.
    warnings: BTreeSet<&'static str>,
    actions_enabled: usize,
    regions: Vec<String>,
    principals: TableReport,
    /// `None` if no table is configured.
    devices: Option<TableReport>,
    /// `None` if the cluster was not checked.
    cluster: Option<Vec<ClusterFinding>>,
}

/// The source of a table, and its number of keys.
#[derive(Debug, Serialize)]
struct TableReport {
    source: &'static str,
    name: String,
    /// `None` if the table comes from a topic, which is not read here.
    keys: Option<usize>,
    /// Accepted entries that, if they are misspelt, deny a principal its access.
    #[serde(flatten)]
    odd: Map<String, Value>,
    #[serde(skip)]
    warnings: Vec<String>,
}

/// The result of one check of the cluster.
#[derive(Debug, Serialize)]
struct ClusterFinding {
    subject: String,
    verdict: String,
    text: String,
    /// The result as a line of text.
    #[serde(skip)]
    line: String,
    #[serde(skip)]
    is_problem: bool,
}

/// Checks, and prints the findings.
///
/// # Errors
/// Fails if a check fails that would prevent `run`.
pub fn check(arguments: &CheckArgs) -> anyhow::Result<()> {
    let (config, deployment) = match super::load(&arguments.config) {
        Ok(loaded) => loaded,
        Err(unusable) => return refuse(unusable, arguments.json),
    };
    logging::init(config.log.format, &config.log.level);
    let mut report = Report::of(arguments.config.config.as_deref(), &config, &deployment);
    if !arguments.json {
        report.print()?;
    }
    if arguments.connect {
        report.add(&ask_cluster(&config, &deployment, arguments.write));
    }
    report.finish(arguments.json)
}

fn refuse(unusable: Unusable, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let problems = &unusable.problems;
        print(serde_json::json!({"ok": false, "problems": problems}))?;
    }
    Err(unusable.into())
}

fn ask_cluster(config: &Config, deployment: &Deployment, write: bool) -> Vec<Finding> {
    let mut findings = check_cluster(config, &deployment.topics).findings;
    // If no broker answered, no further check makes sense.
    let is_reached = findings.len() > 1;
    if is_reached {
        findings.push(check_transactions(config));
    }
    if is_reached && write {
        findings.extend(check_writing(config, &deployment.topics));
    }
    findings
}

impl Report {
    fn of(path: Option<&Path>, config: &Config, deployment: &Deployment) -> Self {
        let enabled = |action: &&Action| action.enabled;
        let Deployment { rules, reference, .. } = deployment;
        let principals = &reference.principals;
        let odd = oddities::of_principals(principals, &rules.permissions);
        let devices = config.devices.as_ref().zip(reference.devices.as_ref());
        Report {
            ok: true,
            configuration: path.map(|path| path.display().to_string()),
            warnings: config.doubts(),
            actions_enabled: rules.catalog.actions().filter(enabled).count(),
            regions: rules.routes.regions().to_vec(),
            principals: TableReport::of(&config.principals, principals.len(), &odd),
            devices: devices.map(|(source, table)| {
                TableReport::of(source, table.len(), &oddities::of_devices(table))
            }),
            cluster: None,
        }
    }

    fn add(&mut self, findings: &[Finding]) {
        let reported = findings.iter().map(|finding| ClusterFinding {
            subject: finding.subject.clone(),
            verdict: finding.verdict.word().to_lowercase(),
            text: finding.verdict.text().to_owned(),
            line: format!("{:<8} {finding}", finding.verdict.word()),
            is_problem: finding.verdict.is_problem(),
        });
        let cluster: Vec<_> = reported.collect();
        self.ok = !cluster.iter().any(|finding| finding.is_problem);
        self.cluster = Some(cluster);
    }

    /// Prints what is known without the cluster.
    fn print(&self) -> std::io::Result<()> {
        let file = self.configuration.as_deref();
        let file = file.unwrap_or("no file; all values are from AUDIT_RELAY_… variables");
        print(format_args!("configuration    ok ({file})"))?;
        for warning in &self.warnings {
            print(format_args!("WARNING          {warning}"))?;
        }
        print(format_args!("actions          {} enabled", self.actions_enabled))?;
        print(format_args!("regions          {}", self.regions.join(", ")))?;
        self.principals.print("principals")?;
        match &self.devices {
            Some(devices) => devices.print("devices"),
            None => print("devices          no table"),
        }
    }

    /// Prints the rest, and fails if a check of the cluster failed.
    fn finish(&self, as_json: bool) -> anyhow::Result<()> {
        let findings = self.cluster.as_deref().unwrap_or_default();
        if as_json {
            print(serde_json::to_string(self)?)?;
        } else if self.cluster.is_none() {
            print("cluster          not checked (use --connect)")?;
        } else {
            findings.iter().try_for_each(|finding| print(&finding.line))?;
        }
        match findings.iter().filter(|finding| finding.is_problem).count() {
            0 => Ok(()),
            failed => bail!("{failed} of {} cluster checks failed", findings.len()),
        }
    }
}

impl TableReport {
    fn of(source: &TableSource, keys: usize, odd: &Odd) -> Self {
        let (source, name, keys) = match source {
            TableSource::File(path) => ("file", path.display().to_string(), Some(keys)),
            TableSource::Topic(topic) => ("topic", topic.clone(), None),
        };
        TableReport { source, name, keys, odd: odd.as_json(), warnings: odd.lines() }
    }

    fn print(&self, table: &str) -> std::io::Result<()> {
        match self.keys {
            Some(keys) => print(format_args!("{table:<16} {keys} known, from {}", self.name))?,
            None => print(format_args!("{table:<16} from topic {}", self.name))?,
        }
        for warning in &self.warnings {
            print(format_args!("WARNING          {table}: {warning}"))?;
        }
        Ok(())
    }
}
