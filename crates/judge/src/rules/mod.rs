//! What a deployment decides: the rules by which records are judged. They are data, read and
//! checked once.

pub mod crn;
pub mod permissions;
pub mod policy;

use crate::catalog::Catalog;
use crate::regions::Locations;
use crate::route::Routes;

use crn::CrnTemplates;
use permissions::PermissionNames;
use policy::Policy;

/// What a deployment decides: fixed for the life of the process.
#[derive(Debug)]
pub struct Rules {
    /// The actions that are audited.
    pub catalog: Catalog,
    /// Which data center belongs to which region, and when.
    pub locations: Locations,
    /// The regions that have an output topic.
    pub routes: Routes,
    /// What permissions mean.
    pub permissions: PermissionNames,
    /// The switches.
    pub policy: Policy,
    /// How resources are named.
    pub crns: CrnTemplates,
    /// Longest audit event, in bytes.
    pub max_event_bytes: usize,
}
