//! Loads what seals the trail: the keys, and the names that stand in seals.

use std::path::Path;
use std::sync::Arc;

use audit_chain::key::SigningKey;
use audit_chain::name::Origin;
use audit_chain::seal::Writer;
use zeroize::Zeroizing;

use crate::compose::RecordFormat;
use crate::config::text_file::read;
use crate::config::{Config, IntegritySettings};
use crate::sealing::{AnchorSink, Keys, SealingSettings};

/// Returns what seals the trail of a deployment that writes to these regions; `None` if its trail
/// is not sealed.
pub(super) fn load(
    config: &Config,
    regions: &[String],
) -> Result<Option<SealingSettings>, Vec<String>> {
    let Some(integrity) = &config.integrity else { return Ok(None) };
    let IntegritySettings { origin, key, previous_key, anchor_file, anchor_url } = integrity;
    let current = read_key("integrity.key", key, origin);
    let previous = previous_key.as_deref();
    let previous =
        previous.map(|path| read_key("integrity.previous_key", path, origin)).transpose();
    let (current, previous) = match (current, previous) {
        (Ok(current), Ok(previous)) => (current, previous),
        (current, previous) => {
            return Err([current.err(), previous.err()].into_iter().flatten().flatten().collect());
        }
    };
    let previous = previous.filter(|previous| previous.public() != current.public());
    let writer = Writer::new(&config.input.group, &config.instance, config.fingerprint())
        .ok_or_else(|| vec!["the group or the instance has no name".to_string()])?;
    let format = RecordFormat::new(config, regions.to_vec());
    let keys = Arc::new(Keys::new(current, previous));
    let anchors = Arc::new(AnchorSink::new(anchor_file.clone(), anchor_url.clone()));
    let settings = SealingSettings::new(origin.clone(), keys, writer, format, anchors);
    settings.map(Some).map_err(|error| vec![format!("integrity.origin: {error}")])
}

/// Reads a private key of a trail. `name` says which it is, for example a key of the configuration.
///
/// # Errors
/// Fails with messages that name it and the file.
pub fn read_key(name: &str, path: &Path, origin: &Origin) -> Result<SigningKey, Vec<String>> {
    let pem = Zeroizing::new(read(path, name)?);
    SigningKey::from_pem(origin.clone(), &pem).map_err(|error| {
        vec![format!("{name}: {}: {error}; `audit-relay key new` makes one", path.display())]
    })
}
