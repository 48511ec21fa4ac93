//! Records in the framings that serializers put around them, as the real ones wrote them: `confluent-kafka` 2.16.1 (`JSONSerializer`
//! with its mock registry) and `cloudevents` 2.2.0 (`JSONFormat`), both of PyPI, given the record of the example `power-on`.

use crate::golden::cases;

#[test]
fn a_framed_record_gives_the_event_of_the_plain_one() {
    let event = |name: &str| {
        let case = cases().into_iter().find(|case| case.name == name);
        case.expect(name).outcome().clone()
    };
    let plain = event("power-on");
    assert_eq!(plain["fate"], "audited");
    for framed in [
        "framed-by-a-schema-registry",
        "cloud-event-structured",
        "cloud-event-with-base64",
    ] {
        assert_eq!(event(framed), plain, "{framed}");
    }
}
