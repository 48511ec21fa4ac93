//! The configuration as finished values: read once, whole, before anything connects.
//!
//! A [`Config`] needs no further checks: every value is within its limits, every path is
//! resolved, every secret is read. Nothing here opens a socket, reads the reference files or names
//! a Kafka client; its users find out whether topics and regions exist.
//!
//! [`SETTINGS`] is the one table of keys. `load` and `environment` merge what is given into
//! its defaults, `read` takes values out by kind, `build` builds the sections from them.

mod build;
mod doubts;
mod draft;
mod effective;
mod environment;
mod http_url;
mod kafka;
mod kafka_properties;
mod kind;
mod limits;
mod load;
mod names;
mod pass_over;
mod problem;
mod properties;
mod read;
mod sections;
mod settings;
mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod text_file;
mod tokens;
mod topics;
mod value;

pub use crate::stream::batch::BatchLimits;
pub use audit_judge::rules::policy::{AccessRules, Policy};
pub use draft::Draft;
pub use effective::Effective;
pub use http_url::HttpUrl;
pub use kafka::PropertyCheck;
pub use kafka_properties::{Client, KafkaProperties, PropertyValue, Secret};
pub use kind::Kind;
pub use problem::{Problem, Problems, ValueOrigin};
pub use sections::{
    AdminSettings, CHECKPOINTS, CatalogSettings, Config, InputSettings, IntegritySettings,
    LocationSettings, LogFormat, LogSettings, Membership, OutputSettings, ShutdownSettings,
    TableSettings, TableSource,
};
pub use settings::{DefaultValue, SETTINGS, Setting, settings_markdown};
pub use tokens::token_url;
