//! The rules of a deployment, by which records are judged. They are data, read and checked once.

pub mod crn;
pub mod permissions;
pub mod policy;

use crate::catalog::Catalog;
use crate::regions::Locations;
use crate::route::Routes;

use crn::CrnTemplates;
use permissions::PermissionNames;
use policy::Policy;

/// The rules of a deployment, fixed for the life of the process.
#[derive(Debug)]
pub struct Rules {
    /// The actions that are audited.
    pub catalog: Catalog,
    /// The region of each data center, and when it applies.
    pub locations: Locations,
    /// The regions that have an output topic.
    pub routes: Routes,
    /// The meaning of permissions.
    pub permissions: PermissionNames,
    /// The switches.
    pub policy: Policy,
    /// The templates of resource names.
    pub crns: CrnTemplates,
    /// Longest audit event, in bytes.
    pub max_event_bytes: usize,
}
