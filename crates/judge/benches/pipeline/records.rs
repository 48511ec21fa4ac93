//! Records of each kind, as the upstream writes them, always the same ones. It judges nothing.

/// What becomes of a record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AuditedPower,
    AuditedPort,
    SystemListed,
    SystemUnlisted,
    CustomerUnlisted,
    SystemNested,
    UnknownPrincipal,
    Malformed,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::AuditedPower,
        Kind::AuditedPort,
        Kind::SystemListed,
        Kind::SystemUnlisted,
        Kind::CustomerUnlisted,
        Kind::SystemNested,
        Kind::UnknownPrincipal,
        Kind::Malformed,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Kind::AuditedPower => "audited-power",
            Kind::AuditedPort => "audited-port",
            Kind::SystemListed => "system-listed",
            Kind::SystemUnlisted => "system-unlisted",
            Kind::CustomerUnlisted => "customer-unlisted",
            Kind::SystemNested => "system-nested",
            Kind::UnknownPrincipal => "unknown-principal",
            Kind::Malformed => "malformed",
        }
    }

    /// Its fate and reason.
    pub const fn fate(self) -> (&'static str, &'static str) {
        match self {
            Kind::AuditedPower | Kind::AuditedPort => ("audited", ""),
            Kind::SystemListed | Kind::SystemNested => ("skipped", "not_user_initiated"),
            Kind::SystemUnlisted | Kind::CustomerUnlisted => ("skipped", "unlisted_action"),
            Kind::UnknownPrincipal => ("quarantined", "unknown_principal"),
            Kind::Malformed => ("quarantined", "malformed"),
        }
    }
}

const PRINCIPALS: usize = 5_000;

/// A principals file, every one of whom has access.
pub fn principals() -> String {
    let line = |number: usize| {
        let (account, user) = (300_000 + number / 40, 6_000_000 + number);
        format!(
            r#"{{"accountId":{account},"userId":{user},"iamId":"IBMid-{number:010}","name":"firstname.lastname{number}@example.com","permissions":["HARDWARE_VIEW","REMOTE_MANAGEMENT","PORT_CONTROL"],"validFrom":"2020-01-01T00:00:00Z"}}"#
        ) + "\n"
    };
    (0..PRINCIPALS).map(line).collect()
}

/// So many records of a kind, all different.
pub fn records(kind: Kind, count: usize) -> Vec<String> {
    (0..count).map(|number| record(kind, number)).collect()
}

fn record(kind: Kind, number: usize) -> String {
    // An order in which neighbours are far apart.
    let person = number * 3_571 % PRINCIPALS;
    let (account, user) = (300_000 + person / 40, 6_000_000 + person);
    let user = if kind == Kind::UnknownPrincipal { user + PRINCIPALS } else { user };
    let event = match kind {
        Kind::SystemUnlisted | Kind::CustomerUnlisted => "Network Component Polled",
        Kind::AuditedPort => "Port Speed Update",
        _ => ["Power On", "Power Off", "Reboot"][number % 3],
    };
    let meta_data = match kind {
        Kind::AuditedPort => r#"{\"speed\":1000,\"port\":\"eth1\",\"previousSpeed\":100}"#,
        _ => "",
    };
    let resource = match kind {
        Kind::SystemNested => r#"{"id":1,"tags":["a","b"]}"#,
        _ => "{}",
    };
    let by = match kind {
        Kind::SystemListed | Kind::SystemUnlisted | Kind::SystemNested => {
            r#""userId":"","userType":"SYSTEM""#.to_owned()
        }
        _ => format!(
            r#""userId":{user},"userType":"CUSTOMER","username":"{account}_operator{}""#,
            number % 10
        ),
    };
    let id = if kind == Kind::Malformed { "-1" } else { "1234567" };
    format!(
        r#"{{"accountId":{account},"datacenter":"{}","eventCreateDate":"2026-01-{:02}T{:02}:22:36.221541-06:00","eventName":"{event}","ipAddress":"192.0.2.{}","label":"web{number:02}.frontend.example.com","metaData":"{meta_data}","objectId":{id},"objectName":"Server","openIdConnectUserName":"firstname.lastname{person}@example.com","resource":{resource},"traceId":"59e767e9{number:05x}",{by},"userAgent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}}"#,
        ["dal10", "wdc04", "lon02", "fra02", "syd01", "tok02"][number % 6],
        1 + number % 28,
        number % 24,
        number % 250,
    )
}
