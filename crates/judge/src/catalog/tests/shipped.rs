//! The shipped catalogue as a table of expectations.

use super::{action, decide, everything, shipped};

const SERVER_EVENTS: &[(&str, &str)] = &[
    ("Provision", "bare-metal.provision"),
    ("HARDWARE_PROVISION", "bare-metal.provision"),
    ("Power On", "bare-metal.power-on"),
    ("IPMI On", "bare-metal.power-on"),
    ("HARDWARE_POWER_ON", "bare-metal.power-on"),
    ("HARDWARE_IPMI_ON", "bare-metal.power-on"),
    ("Power Off", "bare-metal.power-off"),
    ("IPMI Off", "bare-metal.power-off"),
    ("HARDWARE_POWER_OFF", "bare-metal.power-off"),
    ("HARDWARE_IPMI_OFF", "bare-metal.power-off"),
    ("Reboot", "bare-metal.reboot"),
    ("HARDWARE_REBOOT", "bare-metal.reboot"),
    ("Soft Reboot", "bare-metal.soft-reboot"),
    ("HARDWARE_SOFT_REBOOT", "bare-metal.soft-reboot"),
    ("Hard Reboot", "bare-metal.hard-reboot"),
    ("IPMI Reset", "bare-metal.hard-reboot"),
    ("Power Cycle", "bare-metal.hard-reboot"),
    ("HARDWARE_HARD_REBOOT", "bare-metal.hard-reboot"),
    ("HARDWARE_IPMI_RESET", "bare-metal.hard-reboot"),
    ("HARDWARE_POWER_CYCLE", "bare-metal.hard-reboot"),
    ("Rename", "bare-metal.rename"),
    ("HARDWARE_RENAME", "bare-metal.rename"),
    ("Rescue", "bare-metal.rescue"),
    ("HARDWARE_RESCUE", "bare-metal.rescue"),
    ("OS Reload", "bare-metal.reload"),
    ("HARDWARE_OS_RELOAD", "bare-metal.reload"),
    ("Disable Port", "bare-metal-port.disable"),
    ("HARDWARE_DISABLE_PORT", "bare-metal-port.disable"),
    ("Enable Port", "bare-metal-port.enable"),
    ("HARDWARE_ENABLE_PORT", "bare-metal-port.enable"),
    ("Port Speed Update", "bare-metal-port-speed.update"),
    ("HARDWARE_PORT_SPEED_UPDATE", "bare-metal-port-speed.update"),
    // Methods of the provider's API.
    ("powerOn", "bare-metal.power-on"),
    ("powerOff", "bare-metal.power-off"),
    ("powerCycle", "bare-metal.hard-reboot"),
    ("rebootDefault", "bare-metal.reboot"),
    ("rebootSoft", "bare-metal.soft-reboot"),
    ("rebootHard", "bare-metal.hard-reboot"),
    ("bootToRescueLayer", "bare-metal.rescue"),
    ("reloadOperatingSystem", "bare-metal.reload"),
    ("reloadCurrentOperatingSystemConfiguration", "bare-metal.reload"),
    ("activatePublicPort", "bare-metal-port.enable"),
    ("activatePrivatePort", "bare-metal-port.enable"),
    ("shutdownPublicPort", "bare-metal-port.disable"),
    ("shutdownPrivatePort", "bare-metal-port.disable"),
    ("setPublicNetworkInterfaceSpeed", "bare-metal-port-speed.update"),
    ("setPrivateNetworkInterfaceSpeed", "bare-metal-port-speed.update"),
    // Other names, and other spellings.
    ("Reload", "bare-metal.reload"),
    ("Reload OS", "bare-metal.reload"),
    ("HARDWARE_RELOAD", "bare-metal.reload"),
    ("Rescue Kernel", "bare-metal.rescue"),
    ("Port Disable", "bare-metal-port.disable"),
    ("Port Enable", "bare-metal-port.enable"),
    ("power-off", "bare-metal.power-off"),
    ("  POWER  OFF ", "bare-metal.power-off"),
    ("hardware power off", "bare-metal.power-off"),
    ("os_reload", "bare-metal.reload"),
];

#[test]
fn each_server_event_has_its_action_by_name_and_by_key() {
    let catalog = shipped();
    for (event, expected) in SERVER_EVENTS {
        let expected = format!("audit-log.{expected}");
        for class in ["Server", "Bare Metal Instance", "SERVER", "bare_metal_instance"] {
            for (key, name) in
                [(Some(*event), None), (None, Some(*event)), (Some("UNKNOWN"), Some(*event))]
            {
                let found = action(&catalog, class, key, name, "{}");
                assert_eq!(found, Some(expected.as_str()), "{class} {key:?} {name:?}");
            }
        }
    }
}

const OTHER_EVENTS: &[(&str, &str, &str)] = &[
    ("CCI", "Provision", "vsi.provision"),
    ("CCI", "Power On", "vsi.power-on"),
    ("CCI", "VIRTUAL_GUEST_POWER_ON", "vsi.power-on"),
    ("CCI", "Power Off", "vsi.power-off"),
    ("CCI", "Soft Power Off", "vsi.soft-power-off"),
    ("CCI", "Force Power Off", "vsi.force-power-off"),
    ("CCI", "Reboot", "vsi.reboot"),
    ("CCI", "Soft Reboot", "vsi.soft-reboot"),
    ("CCI", "Hard Reboot", "vsi.hard-reboot"),
    ("CCI", "Power Cycle", "vsi.hard-reboot"),
    ("CCI", "Rename", "vsi.rename"),
    ("CCI", "Rescue", "vsi.rescue"),
    ("CCI", "OS Reload", "vsi.reload"),
    ("CCI", "Boot", "vsi.boot"),
    ("CCI", "Reclaim", "vsi.reclaim"),
    ("CCI", "Pause", "vsi.pause"),
    ("CCI", "Disable Port", "vsi-port.disable"),
    ("CCI", "Enable Port", "vsi-port.enable"),
    ("CCI", "Port Speed Update", "vsi-port-speed.update"),
    ("Image", "Create Image Template", "vsi-image-template.create"),
    ("CCI", "Security Group Added", "vsi-security-group.add"),
    ("Security Group", "Security Group Removed", "vsi-security-group.remove"),
    ("User", "Login Successful", "user.login"),
];

#[test]
fn the_neighbours_are_known_but_disabled() {
    let (shipped, everything) = (shipped(), everything());
    for (class, event, expected) in OTHER_EVENTS {
        let name = Some(*event);
        assert!(shipped.listed(class, None, name).is_none(), "{class} {event}");
        assert_eq!(
            action(&everything, class, None, name, "{}"),
            Some(format!("audit-log.{expected}").as_str()),
            "{class} {event}"
        );
    }
}

#[test]
fn the_shipped_rows_are_the_published_ones() {
    let catalog = shipped();
    let names = |enabled: bool| -> Vec<&str> {
        let actions = catalog.actions().filter(|action| action.enabled == enabled);
        actions.map(|action| action.name.as_str()).collect()
    };
    assert_eq!(
        names(true),
        [
            "audit-log.bare-metal.provision",
            "audit-log.bare-metal.power-on",
            "audit-log.bare-metal.power-off",
            "audit-log.bare-metal.reboot",
            "audit-log.bare-metal.soft-reboot",
            "audit-log.bare-metal.hard-reboot",
            "audit-log.bare-metal.rename",
            "audit-log.bare-metal.rescue",
            "audit-log.bare-metal.reload",
            "audit-log.bare-metal-port.disable",
            "audit-log.bare-metal-port.enable",
            "audit-log.bare-metal-port-speed.update",
        ]
    );
    // 14 of servers, 2 of ports, port speed, image template, 2 of security groups, login.
    assert_eq!(names(false).len(), 21);
}

#[test]
fn a_row_says_what_its_event_says() {
    let catalog = shipped();
    let expected = [
        // (object, verb, target type, severity, permission)
        ("bare-metal", "provision", "audit-log/bare-metal", "normal", "SERVER_ADD"),
        ("bare-metal", "power-on", "audit-log/bare-metal", "normal", "REMOTE_MANAGEMENT"),
        ("bare-metal", "power-off", "audit-log/bare-metal", "warning", "REMOTE_MANAGEMENT"),
        ("bare-metal", "reboot", "audit-log/bare-metal", "normal", "REMOTE_MANAGEMENT"),
        ("bare-metal", "soft-reboot", "audit-log/bare-metal", "normal", "REMOTE_MANAGEMENT"),
        ("bare-metal", "hard-reboot", "audit-log/bare-metal", "normal", "REMOTE_MANAGEMENT"),
        ("bare-metal", "rename", "audit-log/bare-metal", "warning", "HOSTNAME_EDIT"),
        ("bare-metal", "rescue", "audit-log/bare-metal", "warning", "SERVER_RELOAD"),
        ("bare-metal", "reload", "audit-log/bare-metal", "critical", "SERVER_RELOAD"),
        ("bare-metal-port", "disable", "audit-log/bare-metal/port", "warning", "PORT_CONTROL"),
        ("bare-metal-port", "enable", "audit-log/bare-metal/port", "warning", "PORT_CONTROL"),
        (
            "bare-metal-port-speed",
            "update",
            "audit-log/bare-metal/port-speed",
            "warning",
            "PORT_CONTROL",
        ),
    ];
    for (action, row) in catalog.actions().zip(expected) {
        let permission = action.permission.as_deref().unwrap();
        let (object, verb) = (action.object.as_str(), action.verb.as_str());
        let severity = action.severity.as_str();
        assert_eq!((object, verb, action.target_type.as_str(), severity, permission), row);
        assert_eq!(action.service, "audit-log");
        assert_eq!(action.resource_type, "bare-metal");
        assert_eq!(action.display_name, "Bare Metal Servers (Classic)");
    }
}

#[test]
fn only_renames_and_speed_updates_have_a_before_and_after() {
    let catalog = shipped();
    let updates: Vec<_> = catalog
        .actions()
        .filter(|action| action.enabled)
        .filter_map(|action| Some((action.verb.as_str(), action.update.as_ref()?)))
        .map(|(verb, update)| (verb, update.initial_key.as_str(), update.new_key.as_str()))
        .collect();
    assert_eq!(updates, [("rename", "oldName", "newName"), ("update", "previousSpeed", "speed")]);
}

#[test]
fn nothing_secret_is_on_an_allow_list() {
    for action in everything().actions() {
        for key in action.request_data.iter().chain(&action.response_data) {
            let key = key.to_ascii_lowercase();
            for word in
                ["password", "secret", "token", "apikey", "ssh", "script", "userdata", "note"]
            {
                assert!(!key.contains(word), "{}: {key}", action.name);
            }
        }
    }
}

const SPEEDS: &[(&str, &str)] = &[
    ("{}", "port-speed.update"),
    (r#"{"speed":0}"#, "port.disable"),
    (r#"{"speed":"0"}"#, "port.disable"),
    (r#"{"speed":0.0}"#, "port.disable"),
    (r#"{"speed":"0.0"}"#, "port.disable"),
    (r#"{"speed":"0 Mbps"}"#, "port.disable"),
    (r#"{"Speed":0}"#, "port.disable"),
    (r#"{"newSpeed":0,"redundancy":"degraded"}"#, "port.disable"),
    (r#"{"newSpeed":0,"speed":0}"#, "port.disable"),
    (r#"{"newSpeed":0,"speed":null}"#, "port.disable"),
    (r#"{"speed":-1}"#, "port.enable"),
    (r#"{"speed":"-1"}"#, "port.enable"),
    (r#"{"speed":-1.0}"#, "port.enable"),
    (r#"{"NewSpeed":"-1"}"#, "port.enable"),
    (r#"{"speed":100}"#, "port-speed.update"),
    (r#"{"speed":"100"}"#, "port-speed.update"),
    (r#"{"speed":"1 Gbps"}"#, "port-speed.update"),
    (r#"{"speed":0.5}"#, "port-speed.update"),
];

/// Metadata that exists but does not tell which action it was.
const UNSAID: &[&str] = &[
    r#"{"speed":null}"#,
    r#"{"speed":""}"#,
    r#"{"speed":"fast"}"#,
    r#"{"speed":"0 furlongs"}"#,
    r#"{"speed":[0]}"#,
    r#"{"speed":true}"#,
    r#"{"port":1}"#,
];

#[test]
fn the_speed_decides_what_a_port_update_is() {
    let catalog = everything();
    for (class, object, key) in [
        ("Server", "bare-metal", "HARDWARE_PORT_SPEED_UPDATE"),
        ("CCI", "vsi", "VIRTUAL_GUEST_PORT_SPEED_UPDATE"),
    ] {
        for name in [key, "Port Speed Update", "setPublicNetworkInterfaceSpeed"] {
            for (metadata, expected) in SPEEDS {
                let expected = format!("audit-log.{object}-{expected}");
                let found = action(&catalog, class, None, Some(name), metadata);
                assert_eq!(found, Some(expected.as_str()), "{name} {metadata}");
            }
            for metadata in UNSAID {
                let found = decide(&catalog, class, None, Some(name), metadata);
                assert!(found.is_err(), "{name} {metadata}: {found:?}");
            }
        }
    }
}

#[test]
fn an_edit_is_a_rename_if_it_has_a_new_name() {
    let catalog = shipped();
    let edit = |metadata| action(&catalog, "Server", None, Some("editObject"), metadata);
    let renamed = r#"{"oldName":"a","newName":"b"}"#;
    assert_eq!(edit(renamed), Some("audit-log.bare-metal.rename"));
    for other in ["{}", r#"{"notes":"x"}"#, r#"{"newName":null}"#, r#"{"newName":""}"#] {
        assert_eq!(edit(other), None, "{other}");
    }
}

#[test]
fn a_name_that_says_it_all_needs_no_attributes() {
    let catalog = shipped();
    let needs = |name| catalog.listed("Server", None, Some(name)).unwrap().needs_attributes();
    assert!(needs("Port Speed Update"));
    assert!(!needs("Disable Port"));
    assert!(!needs("Power Off"));
    let found = action(&catalog, "Server", None, Some("Disable Port"), "{\"speed\":100}");
    assert_eq!(found, Some("audit-log.bare-metal-port.disable"));
}

#[test]
fn what_is_not_listed() {
    let catalog = shipped();
    let long = "x".repeat(129);
    for (class, key, name) in [
        ("Server", None, Some("Cancel Service")),
        ("Server", None, None),
        ("Server", Some(""), Some(" ")),
        ("Server", Some(&*long), Some(&*long)),
        ("Storage", None, Some("Power Off")),
        ("", None, Some("Power Off")),
        (&*long, None, Some("Power Off")),
        ("User", None, Some("Login Successful")),
    ] {
        assert!(catalog.listed(class, key, name).is_none(), "{class} {key:?} {name:?}");
    }
}
