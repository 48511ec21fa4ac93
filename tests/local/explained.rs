//! `explain` names every identity and every version that a record was judged by.

use audit_cases::case;
use audit_relay::commands::explain::explain_record;

use crate::configured::configured;

/// What `explain` says of a case.
fn explained(name: &str) -> String {
    let case = case(name);
    let (_, assembly) = configured(case);
    explain_record(name.to_string(), Some(&case.input), None, &assembly).text()
}

#[test]
fn all_identities_that_were_asked_are_named() {
    let service = "principal 307608/iam-ServiceId-3f8e1c52-6b7d-4c1e-9a55-0d2b7c9e4f10 from";
    let profile = "principal 307608/iam-Profile-2b1d7c36-58f4-4e09-8f6a-9d1c3b5a7e42 from";
    let cases: [(&str, &[&str]); 7] = [
        // By IAM id, though the table has them under their classic ids.
        ("initiator-user-by-iam-id-alone", &["principal 307608/6100101 from"]),
        (
            "customer-on-behalf-by-iam-id",
            &["principal 307608/6100102 from", "principal 307608/6100101 from"],
        ),
        (
            "customer-on-behalf-acting-service-by-iam-id",
            &["principal 307608/6100102 from", service],
        ),
        (
            "customer-on-behalf-acting-under-a-profile",
            &["principal 307608/6100102 from", "principal 307608/6100101 from", profile],
        ),
        (
            "customer-on-behalf-acting-service-unknown",
            &["principal 307608/iam-ServiceId-nobody: not in the table"],
        ),
        (
            "initiator-iam-id-of-two-principals",
            &["principal 307608/7 from", "principal 307608/8 from"],
        ),
        ("system-under-a-service-id", &[service, "(decides)"]),
    ];
    for (name, lines) in cases {
        let text = explained(name);
        for line in lines {
            assert!(text.contains(line), "{name} lacks {line:?}:\n{text}");
        }
    }
}

#[test]
fn the_version_of_a_device_that_counted_is_marked() {
    let text = explained("device-of-the-account-within-the-clock-skew");
    let decided = "device 2 from 2021-07-14T14:12:46Z (decides)";
    assert!(text.contains(decided), "{text}");
}
