//! The reference tables: principals and devices, by key and time. Lines of files and records of topics are
//! read here; where they come from is not this folder's business. Whether a principal has access is decided
//! in `access`.

mod entry;
mod file;
mod record;
mod table;

use std::fmt;

use serde::Deserialize;

use super::field::Id;

pub use file::{LineProblem, read_devices, read_principals};
pub use record::{
    MOST_VALUE_BYTES, RecordProblem, RecordReason, parse_device_record, parse_principal_record,
};
pub use table::{Table, TableChange};

/// The tables that a record is judged against; an immutable snapshot.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Who may act.
    pub principals: Table<PrincipalKey, Principal>,
    /// What is acted upon; `None` where no device table is configured.
    pub devices: Option<Table<Id, Device>>,
}

/// Key of a principal: the account, and the classic user id or, where there is none, the IAM id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalKey {
    /// The classic account.
    pub account: Id,
    /// `userId`, else `iamId`.
    pub id: Id,
}

impl fmt::Display for PrincipalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.id)
    }
}

/// Someone or something that can act in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The IAM identity that an audit event names as initiator.
    pub iam_id: Option<Id>,
    /// User name, often an e-mail address.
    pub name: Option<String>,
    /// What kind of identity this is.
    pub kind: PrincipalKind,
    /// Whether the classic account is linked to the cloud account for this principal.
    pub linked: bool,
    /// The explicit statement, which wins over the permissions.
    pub infrastructure_access: Option<bool>,
    /// Classic permission names.
    pub permissions: Vec<String>,
    /// The devices that the principal may touch; `None` means all.
    pub devices: Option<Vec<Id>>,
}

/// Kinds of identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PrincipalKind {
    /// A person.
    #[default]
    User,
    /// A service id.
    ServiceId,
    /// A registered client application.
    Application,
    /// A trusted profile, assumed by a user.
    Profile,
    /// A client certificate.
    Certificate,
}

impl PrincipalKind {
    /// The value of `initiator.typeURI`.
    pub const fn type_uri(self) -> &'static str {
        match self {
            PrincipalKind::User | PrincipalKind::Profile => "service/security/account/user",
            PrincipalKind::ServiceId => "service/security/account/serviceid",
            PrincipalKind::Application => "service/security/clientid",
            PrincipalKind::Certificate => "service/security/client/certificateid",
        }
    }
}

/// A device of the classic infrastructure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The account that owns it.
    pub account: Option<Id>,
    /// Its name.
    pub name: Option<String>,
    /// The data center it stands in.
    pub data_center: Option<String>,
}
