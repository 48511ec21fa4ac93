//! Turns the configuration into the rules, tables and topics of a deployment. It reads every file
//! once, and reports the problems of all files together.

mod problems;
mod sealing;
mod tables;

use std::fmt;

pub use self::sealing::read_key;

use crate::config::text_file::read;
use crate::config::{CHECKPOINTS, Config, Draft};
use crate::kafka::followers::{followed, read_topics};
use crate::kafka::topics::TopicNames;
use crate::sealing::SealingSettings;
use crate::tables::TableName;
use crate::tables::files::TableFile;
use audit_judge::catalog::{Catalog, CatalogFile, Switches};
use audit_judge::reference::ReferenceTables;
use audit_judge::regions::Locations;
use audit_judge::route::Routes;
use audit_judge::rules::Rules;
use audit_judge::rules::permissions::PermissionNames;

pub use problems::FileProblems;
pub use tables::{load_devices, load_principals};

/// Everything that the configuration names, loaded.
#[derive(Debug)]
pub struct Deployment {
    /// The rules.
    pub rules: Rules,
    /// The reference tables; those from topics are empty.
    pub reference: ReferenceTables,
    /// The files that the tables were read from.
    pub table_files: Vec<TableFile>,
    /// The topics.
    pub topics: TopicNames,
    /// What seals the trail; none if it is not sealed.
    pub sealing: Option<SealingSettings>,
}

impl Deployment {
    /// Loads everything that a configuration names.
    ///
    /// # Errors
    /// Fails with the problems of all files.
    pub fn load(config: &Config) -> Result<Self, FileProblems> {
        load(config, |_| true)
    }

    /// Loads what a configuration names that may have problems itself. Skips what depends on its
    /// invalid sections and loads the rest, so that all problems are known at once.
    ///
    /// # Errors
    /// Fails with the problems of all files, which may be none if only sections are invalid.
    pub fn load_draft(draft: &Draft) -> Result<Self, FileProblems> {
        load(draft.config(), |section| draft.is_good(section))
    }

    /// Returns the topics of a configuration. Reads the location table, and no reference table:
    /// they may be on another machine.
    ///
    /// # Errors
    /// Fails with the problems of the location table and of the choice of regions.
    pub fn topics(config: &Config) -> Result<TopicNames, FileProblems> {
        let locations = load_locations(config).map_err(FileProblems)?;
        let routes = choose_regions(config, &locations).map_err(FileProblems)?;
        Ok(topic_names(config, &routes))
    }

    /// Reads the tables that come from topics, once and completely, for commands that judge a
    /// record.
    ///
    /// # Errors
    /// Fails if a topic cannot be read.
    pub fn read_table_topics(&mut self, config: &Config) -> anyhow::Result<()> {
        let names = followed(config);
        if names.is_empty() {
            return Ok(());
        }
        let read = read_topics(config, &names).map_err(anyhow::Error::msg)?;
        for name in names {
            match name {
                TableName::Principals => self.reference.principals = read.principals.clone(),
                TableName::Devices => self.reference.devices.clone_from(&read.devices),
            }
        }
        Ok(())
    }
}

fn load(config: &Config, is_good: impl Fn(&str) -> bool) -> Result<Deployment, FileProblems> {
    let mut problems = FileProblems::default();
    let mut part = Parts { is_good, problems: &mut problems };
    let catalog = part.load("catalog", || load_catalog(config));
    let permissions = part.load("catalog", || load_permissions(config));
    let locations = part.load("locations", || load_locations(config));
    // Stamped before they are read, so that a change in between is noticed later.
    let table_files = TableFile::all(config);
    let principals = part.load("principals", || tables::principals_at_start(config));
    let devices = part.load("devices", || tables::devices_at_start(config));
    let routes = locations
        .as_ref()
        .and_then(|locations| part.load("output", || choose_regions(config, locations)));
    let sealing = routes
        .as_ref()
        .and_then(|routes| part.load("integrity", || sealing::load(config, routes.regions())));
    let rules = (catalog, permissions, locations, routes);
    let (
        (Some(catalog), Some(permissions), Some(locations), Some(routes)),
        (Some(principals), Some(devices), Some(sealing)),
    ) = (rules, (principals, devices, sealing))
    else {
        return Err(problems);
    };
    let reference = ReferenceTables { principals, devices };
    let topics = topic_names(config, &routes);
    let rules = Rules {
        catalog,
        locations,
        routes,
        permissions,
        policy: config.policy,
        crns: config.crn.clone(),
        max_event_bytes: config.output.max_message_bytes,
    };
    Ok(Deployment { rules, reference, table_files, topics, sealing })
}

/// Loads the parts one by one, and collects their problems.
struct Parts<'p, G> {
    is_good: G,
    problems: &'p mut FileProblems,
}

impl<G: Fn(&str) -> bool> Parts<'_, G> {
    /// Loads a part that depends on one section of the configuration.
    fn load<T>(
        &mut self,
        section: &str,
        load: impl FnOnce() -> Result<T, Vec<String>>,
    ) -> Option<T> {
        if !(self.is_good)(section) {
            return None;
        }
        let problems = &mut self.problems.0;
        load().map_err(|found| problems.extend(found)).ok()
    }
}

/// Returns the topics of a configuration that writes to these regions.
pub fn topic_names(config: &Config, routes: &Routes) -> TopicNames {
    let topic = |region: &String| config.output.topic(region);
    TopicNames {
        input: config.input.topic.clone(),
        regions: routes.regions().iter().map(topic).collect(),
        quarantine: config.output.quarantine_topic.clone(),
        checkpoints: config.integrity.as_ref().map(|_| config.output.topic(CHECKPOINTS)),
    }
}

fn texts<E: fmt::Display>(problems: Vec<E>) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

fn load_catalog(config: &Config) -> Result<Catalog, Vec<String>> {
    let switches =
        Switches { enable: config.catalog.enable.clone(), disable: config.catalog.disable.clone() };
    if config.catalog.files.is_empty() {
        return Catalog::load(&Catalog::embedded_files(), &switches).map_err(texts);
    }
    let mut read_files = Vec::new();
    let mut problems = Vec::new();
    for path in &config.catalog.files {
        match read(path, "catalog.files") {
            Ok(text) => read_files.push((path.display().to_string(), text)),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let files: Vec<CatalogFile<'_>> =
        read_files.iter().map(|(name, text)| CatalogFile { name, text }).collect();
    Catalog::load(&files, &switches).map_err(texts)
}

/// Reads the names of permissions.
///
/// # Errors
/// Fails with all problems of the file.
pub fn load_permissions(config: &Config) -> Result<PermissionNames, Vec<String>> {
    let Some(path) = &config.catalog.permissions else {
        return PermissionNames::load(PermissionNames::EMBEDDED).map_err(texts);
    };
    let text = read(path, "catalog.permissions")?;
    let name = &path.display().to_string();
    PermissionNames::load(CatalogFile { name, text: &text }).map_err(texts)
}

fn load_locations(config: &Config) -> Result<Locations, Vec<String>> {
    let profile = &config.locations.profile;
    match &config.locations.file {
        None => Locations::embedded(profile).map_err(texts),
        Some(path) => {
            let text = read(path, "locations.file")?;
            Locations::load(&path.display().to_string(), &text, profile).map_err(texts)
        }
    }
}

fn choose_regions(config: &Config, locations: &Locations) -> Result<Routes, Vec<String>> {
    let known: Vec<&str> = locations.regions().collect();
    let given = &config.output.regions;
    let unknown = given.iter().filter(|region| !known.contains(&region.as_str()));
    let mut problems: Vec<String> = unknown
        .map(|region| {
            format!(
                "output.regions: unknown region {region:?}: the location table has {}",
                known.join(", ")
            )
        })
        .collect();
    let routes = if given.is_empty() {
        Routes::new(known.iter().map(ToString::to_string))
    } else {
        Routes::new(given.iter().cloned())
    };
    // Regions that are configured were checked with the rest of the configuration.
    if given.is_empty()
        && let Err(clashes) = config.check_output_topics(routes.regions())
    {
        problems.extend(texts(clashes.0));
    }
    if problems.is_empty() { Ok(routes) } else { Err(problems) }
}
