//! Turning actions on and off by configuration.

use std::collections::BTreeSet;

use super::{action, load, switches};

/// Returns the names of the actions that are enabled with these switches.
fn enabled(enable: &[&str], disable: &[&str]) -> BTreeSet<String> {
    let catalog = load(&switches(enable, disable)).unwrap();
    let enabled = catalog.actions().filter(|action| action.enabled);
    enabled.map(|action| action.name.to_string()).collect()
}

#[test]
fn switches_by_name_and_by_prefix() {
    let default = enabled(&[], &[]);
    let with = |pattern: &str| &enabled(&[pattern], &[]) - &default;
    let without = |pattern: &str| &default - &enabled(&[], &[pattern]);
    assert_eq!(with("audit-log.user.login"), BTreeSet::from(["audit-log.user.login".to_string()]));
    assert_eq!(with("audit-log.bare-metal.reboot"), BTreeSet::new(), "it is enabled already");
    let everything = enabled(&["audit-log.*"], &[]);
    let catalog = load(&switches(&[], &[])).unwrap();
    assert_eq!(everything.len(), catalog.actions().count());
    for (prefix, names) in [
        ("audit-log.vsi.", with("audit-log.vsi.*")),
        ("audit-log.bare-metal.", without("audit-log.bare-metal.*")),
    ] {
        assert!(names.len() > 1, "{names:?}");
        assert!(names.iter().all(|name| name.starts_with(prefix)), "{names:?}");
        let all = everything.iter().filter(|name| name.starts_with(prefix));
        assert!(all.eq(&names), "every action of the family is switched: {names:?}");
    }
}

#[test]
fn switches_that_cannot_be_meant_are_refused() {
    let cases: &[(&[&str], &[&str], &str)] = &[
        (
            &["audit-log.vsi.powr-off"],
            &[],
            "configuration: catalog.enable: `audit-log.vsi.powr-off` matches no action: did you mean `audit-log.vsi.power-off`?",
        ),
        (
            &[],
            &["reboot"],
            "configuration: catalog.disable: `reboot` matches no action: write an action's name, or a prefix ending in `.*`",
        ),
        (
            &["*"],
            &[],
            "configuration: catalog.enable: `*` matches no action: write an action's name, or a prefix ending in `.*`",
        ),
        (
            &["audit-log.user.*"],
            &["audit-log.user.login"],
            "configuration: catalog: `audit-log.user.login` is both enabled (by `audit-log.user.*`) and disabled (by `audit-log.user.login`): leave out one of the two",
        ),
        (
            &[],
            &[
                "audit-log.bare-metal.*",
                "audit-log.bare-metal-port.*",
                "audit-log.bare-metal-port-speed.*",
            ],
            "catalog: no action is enabled, so nothing would be audited: enable some by catalog.enable",
        ),
    ];
    for (enable, disable, expected) in cases {
        let problems = load(&switches(enable, disable)).unwrap_err();
        let messages: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(messages, [*expected]);
    }
    for pattern in ["audit-log.vsi*", "audit-log.vsi.*.*", "audit-log.vsi"] {
        assert!(load(&switches(&[pattern], &[])).is_err(), "{pattern}");
    }
}

#[test]
fn a_known_key_decides_even_when_it_is_disabled() {
    let catalog = load(&switches(&[], &["audit-log.bare-metal.soft-reboot"])).unwrap();
    let find = |key, name| action(&catalog, "Server", Some(key), Some(name), "{}");
    assert_eq!(find("HARDWARE_SOFT_REBOOT", "Reboot"), None);
    assert_eq!(find("HARDWARE_REBOOT", "Soft Reboot"), Some("audit-log.bare-metal.reboot"));
}

#[test]
fn a_disabled_alternative_is_not_replaced_by_another() {
    let catalog = load(&switches(&[], &["audit-log.bare-metal-port.*"])).unwrap();
    let find = |speed: i64| {
        let metadata = format!("{{\"speed\":{speed}}}");
        action(&catalog, "Server", None, Some("Port Speed Update"), &metadata)
    };
    assert_eq!(find(0), None);
    assert_eq!(find(-1), None);
    assert_eq!(find(10), Some("audit-log.bare-metal-port-speed.update"));
}
