//! Which fates wait for the tables, and what becomes of them when the tables have caught up.

use std::thread;

use super::*;
use crate::config::Config;
use crate::deployment::Deployment;
use crate::stream::batch::Batch;
use crate::stream::{Content, OwnedHeaders, Partition, SourceRecord};
use crate::tables::{Reading, TableName, TableOffsets};
use audit_judge::reference::{ReferenceTables, read_devices};

const LIMIT: Duration = Duration::from_secs(20);
const NO_HEADERS: &OwnedHeaders = &Vec::new();
const NO_ACCOUNT: &str =
    r#"{"deviceId":77,"datacenter":"dal10","validFrom":"2018-01-01T00:00:00Z"}"#;
const BEFORE: &str = r#"{"deviceId":77,"accountId":307608,"name":"old","datacenter":"dal10","validFrom":"2018-01-01T00:00:00Z"}"#;
/// What was written to the table's topic before the record was read, but is not read yet.
const MOVED: &str = r#"{"deviceId":77,"accountId":307608,"name":"new","datacenter":"fra02","validFrom":"2019-01-01T00:00:00Z"}"#;

/// A judge with the principals of the examples, and these devices, which are followed from a topic.
fn judge(devices: &str) -> TableJudge {
    let judge = unread(&[TableName::Devices], LIMIT);
    follow(&judge.tables, 1, devices);
    judge
}

/// The same, before the topics of these tables were read, with a limit for the barrier.
fn unread(followed: &[TableName], limit: Duration) -> TableJudge {
    let principals =
        concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/examples/_reference/principals.jsonl");
    let config = format!(
        "[kafka]\n\"bootstrap.servers\" = \"127.0.0.1:9092\"\n[principals]\nfile = {principals:?}\n[devices]\ntopic = \"devices\"\n"
    );
    let config = Config::from_toml(&config, std::iter::empty()).expect("configuration");
    let deployment = Arc::new(Deployment::load(&config).expect("deployment"));
    let reference =
        ReferenceTables { devices: Some(Default::default()), ..deployment.reference.clone() };
    let tables = TableStore::new(reference, followed, LIMIT);
    let metrics = Metrics::new(deployment.rules.routes.regions(), "0").expect("metrics");
    TableJudge::new(deployment, Arc::new(tables), limit, metrics)
}

/// A power-on of device 77 with these fields beside.
fn change(fields: &str) -> String {
    format!(
        r#"{{"userType":"CUSTOMER","userId":6100101,"username":"u","eventCreateDate":"2021-07-14T09:12:44-05:00","eventName":"Power On","objectName":"Server","objectId":77{fields}}}"#
    )
}

/// Plays the follower: answers the barrier once, with these devices read up to the end.
fn catch_up(judge: &TableJudge, devices: &str) {
    thread::scope(|scope| {
        scope.spawn(|| follow(&judge.tables, 2, devices));
        assert_eq!(judge.catch_up(), Ok(()));
    });
}

/// Answers one look-up of the end, with these devices read up to there.
fn follow(tables: &TableStore, end: i64, devices: &str) {
    let look_up = tables.await_request(TableName::Devices, LIMIT, LIMIT);
    let read = read_devices("devices", devices).expect("devices");
    tables.publish(|reference| reference.devices = Some(read));
    let end = TableOffsets::from([(0, end)]);
    tables.answer(TableName::Devices, look_up.expect("a request"), Ok(end.clone()));
    tables.reached(TableName::Devices, Reading::default(), &end);
}

/// What is written of a record as the loop would: judged as it arrives, held if that is not final,
/// judged once more after the tables have read `then`. The region, or the reason of the quarantine,
/// and whether it was held.
fn written(before: &str, fields: &str, then: &str) -> (String, bool) {
    let judge = judge(before);
    let payload = change(fields);
    let record = SourceRecord {
        partition: Partition(0),
        offset: 0,
        timestamp_ms: None,
        key: None,
        payload: Some(payload.as_bytes()),
        headers: NO_HEADERS,
        leader_epoch: None,
        log: &None,
    };
    let mut batch = Batch::default();
    let fate = judge.judge(record.payload);
    let is_final = judge.is_final(&fate);
    if is_final {
        batch.add(&record, fate);
    } else {
        batch.defer(&record);
        catch_up(&judge, then);
        batch.judge_deferred(|payload| judge.judge(payload));
    }
    let output = batch.outputs().iter().next().expect("an output");
    let written = match output.content {
        Content::Event { envelope, .. } => {
            judge.deployment.rules.routes.regions()[envelope.region.0].clone()
        }
        Content::Quarantined(kept) => kept.quarantine.reason.to_string(),
    };
    (written, !is_final)
}

#[test]
fn what_the_device_table_supplies_is_judged_again_once_it_has_caught_up() {
    const PLACED: &str = r#","accountId":307608,"datacenter":"dal10""#;
    const ACCOUNT: &str = r#","accountId":307608,"label":"web""#;
    const PLACE: &str = r#","datacenter":"dal10","label":"web""#;
    let both = format!("{BEFORE}\n{MOVED}");
    let complete = format!(r#"{PLACED},"label":"web""#);
    let cases = [
        ("a device that has moved", BEFORE, ACCOUNT, both.as_str(), ("eu-de", true)),
        ("one that has not", BEFORE, ACCOUNT, BEFORE, ("us-south", true)),
        ("an account that comes", NO_ACCOUNT, PLACE, BEFORE, ("us-south", true)),
        ("one that does not", NO_ACCOUNT, PLACE, NO_ACCOUNT, ("unknown_device", true)),
        ("an account from the table", BEFORE, PLACE, BEFORE, ("us-south", true)),
        ("a name from the table", BEFORE, PLACED, &both, ("us-south", false)),
        ("a name that nobody knows", "", PLACED, BEFORE, ("us-south", true)),
        ("nothing from the table", BEFORE, &complete, &both, ("us-south", false)),
    ];
    for (what, before, fields, then, (expected, is_held)) in cases {
        let written = written(before, fields, then);
        assert_eq!(written, (expected.to_string(), is_held), "{what}");
    }
}

/// The half that needs the tables is judged by them when the record is wrapped, too.
#[test]
fn a_cloud_event_is_judged_by_the_tables_too() {
    let judge = judge(BEFORE);
    let plain = change(r#","accountId":307608"#);
    let wrapped = format!(r#"{{"specversion":"1.0","id":"1","data":{plain}}}"#);
    let fates = [plain, wrapped].map(|record| judge.judge(Some(record.as_bytes())));
    assert!(matches!(fates[0], Fate::Audited(_)), "{:?}", fates[0]);
    assert_eq!(fates[0], fates[1]);
}

#[test]
fn nothing_is_trusted_before_the_tables_were_read() {
    let judge = unread(&[TableName::Devices], LIMIT);
    let why = "devices: its topic is being read".to_string();
    assert_eq!(judge.trusted(), Err(why));
    follow(&judge.tables, 1, BEFORE);
    assert_eq!(judge.trusted(), Ok(()));
}

/// A fate that rests on absence waits for what may still come. From files nothing comes.
#[test]
fn absence_is_final_unless_a_table_is_followed() {
    let unknown = change(r#","accountId":307608,"datacenter":"dal10","label":"web""#);
    let unknown = unknown.replace("6100101", "1");
    let complete = unknown.replace(r#""userId":1,"#, r#""userId":6100101,"#);
    for (followed, is_final) in [(&[][..], true), (&[TableName::Devices][..], false)] {
        let judge = unread(followed, LIMIT);
        let absent = judge.judge(Some(unknown.as_bytes()));
        assert_eq!(absent.kind().reason(), "unknown_principal");
        assert_eq!(judge.is_final(&absent), is_final, "{followed:?}");
        let audited = judge.judge(Some(complete.as_bytes()));
        assert_eq!(audited.kind().fate(), "audited");
        assert!(judge.is_final(&audited), "{followed:?}");
    }
}

#[test]
fn a_barrier_fails_as_the_tables_do_and_is_counted() {
    let limit = Duration::from_millis(20);
    let judge = unread(&[TableName::Devices], limit);
    let why = "devices: the ends of its topic are not known after 20ms".to_string();
    let count = |result: &str| {
        let series = format!("audit_relay_table_barriers_total{{result=\"{result}\"}} ");
        let text = judge.metrics.render();
        let found = text.lines().find_map(|line| line.strip_prefix(&series));
        found.expect("it shows").to_string()
    };
    assert_eq!([count("met"), count("failed")], ["0", "0"]);
    assert_eq!(judge.catch_up(), Err(why));
    assert_eq!([count("met"), count("failed")], ["0", "1"]);
    let judge = unread(&[], limit);
    assert_eq!(judge.catch_up(), Ok(()), "nothing is followed");
}

#[test]
fn a_barrier_that_was_met_is_counted() {
    let judge = judge(BEFORE);
    catch_up(&judge, BEFORE);
    let text = judge.metrics.render();
    for line in [
        r#"audit_relay_table_barriers_total{result="met"} 1"#,
        r#"audit_relay_table_barriers_total{result="failed"} 0"#,
        "audit_relay_table_barrier_seconds_count 1",
    ] {
        assert!(text.contains(line), "{line}");
    }
}
