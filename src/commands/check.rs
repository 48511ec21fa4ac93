//! `check`: is the configuration good, and on request, does the cluster have what the relay needs?

use anyhow::bail;

use super::print;
use crate::cli::CheckArgs;
use crate::config::TableSource;
use crate::kafka::check::{Finding, check_cluster, check_transactions, check_writing};
use crate::logging;
use crate::pipeline::Rules;

/// Checks and prints what it found.
///
/// # Errors
/// If anything is not as `run` needs it.
pub fn check(arguments: &CheckArgs) -> anyhow::Result<()> {
    let (config, assembly) = super::load(&arguments.config)?;
    logging::init(config.log.format, &config.log.level);
    let rules = &assembly.rules;
    print("configuration    ok")?;
    for doubt in config.doubts() {
        print(format_args!("WARNING          {doubt}"))?;
    }
    print(format_args!(
        "actions          {} enabled",
        enabled_actions(rules)
    ))?;
    print(format_args!(
        "regions          {}",
        rules.routes.regions().join(", ")
    ))?;
    let directory = &assembly.directory;
    let known = directory.principals.len();
    print(format_args!(
        "principals       {}",
        described(&config.principals, known)
    ))?;
    match (&config.devices, &directory.devices) {
        (Some(source), Some(devices)) => {
            print(format_args!(
                "devices          {}",
                described(source, devices.len())
            ))?;
        }
        _ => print("devices          no table")?,
    }
    if !arguments.connect {
        print("cluster          not asked (use --connect)")?;
        return Ok(());
    }
    let mut findings = check_cluster(&config, &assembly.topics).findings;
    // Where no broker answers there is nothing more to try.
    let is_reached = findings.len() > 1;
    if is_reached {
        findings.push(check_transactions(&config));
    }
    if is_reached && arguments.write {
        findings.extend(check_writing(&config, &assembly.topics));
    }
    report(&findings)
}

fn described(source: &TableSource, known: usize) -> String {
    match source {
        TableSource::File(_) => format!("{known} known"),
        TableSource::Topic(topic) => format!("from topic {topic}"),
    }
}

fn enabled_actions(rules: &Rules) -> usize {
    let enabled = |action: &&crate::pipeline::catalog::Action| action.enabled;
    rules.catalog.actions().filter(enabled).count()
}

fn report(findings: &[Finding]) -> anyhow::Result<()> {
    for finding in findings {
        print(format_args!("{:<8} {finding}", finding.verdict.word()))?;
    }
    let is_problem = |finding: &&Finding| finding.verdict.is_problem();
    match findings.iter().filter(is_problem).count() {
        0 => Ok(()),
        wrong => bail!("{wrong} of {} checks of the cluster failed", findings.len()),
    }
}
