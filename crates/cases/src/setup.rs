//! Builds a deployment's rules and tables from a few settings, as the relay does from its full
//! configuration.

use audit_judge::catalog::{Catalog, CatalogFile, Switches};
use audit_judge::fate::Fate;
use audit_judge::judge;
use audit_judge::reference::{ReferenceTables, read_devices, read_principals};
use audit_judge::regions::Locations;
use audit_judge::route::Routes;
use audit_judge::rules::Rules;
use audit_judge::rules::crn::{CrnTemplate, CrnTemplates};
use audit_judge::rules::permissions::PermissionNames;
use audit_judge::rules::policy::{AccessRules, Policy};
use serde::Deserialize;

use crate::examples::shared_tables;

const TARGET: &str = "crn:v1:bluemix:public:{service}:{location}:a/{account}::{resource_type}:{id}";
const LOG_SOURCE: &str = "crn:v1:bluemix:public:{service}:{location}:a/{account}:::";

/// The rules and tables that judge records, and the settings of the output.
#[derive(Debug)]
pub struct Setup {
    pub rules: Rules,
    pub reference: ReferenceTables,
    /// The prefix of the output topics.
    pub topic_prefix: String,
    /// Whether audit events have headers.
    pub headers: bool,
}

impl Setup {
    /// Uses the tables of the examples, and settings in the format of a configuration file.
    pub fn new(settings: &str) -> Setup {
        let [principals, devices] = shared_tables();
        Setup::with_tables(settings, &principals, &devices)
    }

    /// Uses these tables, one entry per line.
    pub fn with_tables(settings: &str, principals: &str, devices: &str) -> Setup {
        let setup = Setup::of(settings, None, principals, devices);
        setup.unwrap_or_else(|problem| panic!("{settings}: {problem}"))
    }

    /// Uses these settings and tables, and the shipped permissions unless others are given.
    ///
    /// # Errors
    /// The problems of the settings or tables.
    pub fn of(
        settings: &str,
        permissions: Option<&str>,
        principals: &str,
        devices: &str,
    ) -> Result<Setup, String> {
        let settings: Settings = toml::from_str(settings).map_err(|error| error.to_string())?;
        let reference = ReferenceTables {
            principals: read_principals("principals", principals).map_err(joined)?,
            devices: Some(read_devices("devices", devices).map_err(joined)?),
        };
        let rules = settings.rules(permissions)?;
        let Output { topic_prefix, headers, .. } = settings.output;
        Ok(Setup { rules, reference, topic_prefix, headers })
    }

    /// Judges a record.
    pub fn judge(&self, payload: Option<&[u8]>) -> Fate {
        judge(payload, &self.rules, || &self.reference)
    }
}

fn joined<P: ToString>(problems: Vec<P>) -> String {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}

/// The settings that decide a record's fate, with the names of the configuration file.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    policy: PolicySettings,
    catalog: CatalogSettings,
    locations: LocationSettings,
    output: Output,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct PolicySettings {
    access: Vec<Rule>,
    system_on_behalf_of_user: bool,
    service_initiators: Option<bool>,
    no_infrastructure_access: Option<Unaudited>,
    unknown_principal: Option<Unaudited>,
    clock_skew_ms: Option<u32>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Rule {
    Permission,
    Device,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Unaudited {
    Skip,
    Quarantine,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct CatalogSettings {
    enable: Vec<String>,
    disable: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LocationSettings {
    profile: String,
}

impl Default for LocationSettings {
    fn default() -> Self {
        LocationSettings { profile: "six".to_string() }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Output {
    topic_prefix: String,
    headers: bool,
    regions: Vec<String>,
    max_message_bytes: usize,
}

impl Default for Output {
    fn default() -> Self {
        Output {
            topic_prefix: "audit.events.".to_string(),
            headers: true,
            regions: Vec::new(),
            max_message_bytes: 1_000_000,
        }
    }
}

impl Settings {
    fn rules(&self, permissions: Option<&str>) -> Result<Rules, String> {
        let CatalogSettings { enable, disable } = &self.catalog;
        let switches = Switches { enable: enable.clone(), disable: disable.clone() };
        let locations = Locations::embedded(&self.locations.profile).map_err(joined)?;
        let given = &self.output.regions;
        let routes = match given.is_empty() {
            true => Routes::new(locations.regions().map(str::to_string)),
            false => Routes::new(given.iter().cloned()),
        };
        let permissions = match permissions {
            Some(text) => CatalogFile { name: "permissions.toml", text },
            None => PermissionNames::EMBEDDED,
        };
        let template = |text| CrnTemplate::parse(text).map_err(|problem| problem.to_string());
        Ok(Rules {
            catalog: Catalog::load(&Catalog::embedded_files(), &switches).map_err(joined)?,
            locations,
            routes,
            permissions: PermissionNames::load(permissions).map_err(joined)?,
            policy: self.policy.policy(),
            crns: CrnTemplates { target: template(TARGET)?, log_source: template(LOG_SOURCE)? },
            max_event_bytes: self.output.max_message_bytes,
        })
    }
}

impl PolicySettings {
    fn policy(&self) -> Policy {
        let default = Policy::default();
        Policy {
            access: AccessRules {
                permission: self.access.contains(&Rule::Permission),
                device: self.access.contains(&Rule::Device),
            },
            system_on_behalf_of_user: self.system_on_behalf_of_user,
            service_initiators: self.service_initiators.unwrap_or(default.service_initiators),
            quarantine_no_infrastructure_access: self.no_infrastructure_access
                == Some(Unaudited::Quarantine),
            skip_unknown_principal: self.unknown_principal == Some(Unaudited::Skip),
            clock_skew_ms: self.clock_skew_ms.unwrap_or(default.clock_skew_ms),
        }
    }
}
