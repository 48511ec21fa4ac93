//! The forms in which producers write entries. `tests/judge/entries.rs` compares them with the
//! schemas.

use super::*;
use crate::reference::packing::Packed;

/// Reads a principal and prints it.
fn principal(json: &str) -> Result<String, String> {
    let stated = read_principal(json.as_bytes(), &mut Oddities::default())?;
    let view = Principal::view(stated.value.bytes());
    let list = |ids: Option<DeviceIds<'_>>| match ids {
        Some(ids) => ids.iter().collect::<Vec<_>>().join(","),
        None => "all".to_string(),
    };
    Ok(format!(
        "{} {} {} {:?} linked={} access={:?} [{}] devices={} guests={} from={} deleted={}",
        stated.key,
        view.iam_id.unwrap_or("-"),
        view.name.unwrap_or("-"),
        view.kind,
        view.linked,
        view.infrastructure_access,
        view.permissions.iter().collect::<Vec<_>>().join(","),
        list(view.devices),
        list(view.virtual_guests),
        stated.valid_from.map_or("-".to_string(), |from| from.to_string()),
        stated.deleted,
    ))
}

/// Reads a device and prints it.
fn device(json: &str) -> Result<String, String> {
    let stated = read_device(json.as_bytes(), &mut Oddities::default())?;
    let view = Device::view(stated.value.bytes());
    let text = |text: Option<&str>| text.unwrap_or("-").to_string();
    let (account, name) = (text(view.account), text(view.name));
    Ok(format!(
        "{} {account} {name} {} deleted={}",
        stated.key,
        text(view.data_center),
        stated.deleted
    ))
}

const USER: &str =
    "1/2 - - User linked=false access=None [] devices=all guests=all from=- deleted=false";

#[test]
fn principals_are_read_in_every_form() {
    let same_as_user = [
        r#"{"accountId":1,"userId":2}"#,
        r#"{"ACCOUNTID":"1","userid":" 2 "}"#,
        r#"{"accountId":1.0,"userId":2e0,"iamId":null,"name":"None","kind":null,"linked":null}"#,
        r#"{"accountId":1,"userId":2,"iamId":"undefined","name":" ","infrastructureAccess":null}"#,
        r#"{"accountId":1,"userId":2,"permissions":null,"devices":null,"virtualGuests":null}"#,
        r#"{"accountId":1,"userId":2,"permissions":[null,""," "],"devices":"ALL","deleted":null}"#,
        r#"{"accountId":1,"userId":2,"validFrom":null,"unknown":[{}],"deleted":false}"#,
        "{\"accountId\":1,\"\\u0075serId\":\"\\u0032\"}",
    ];
    for json in same_as_user {
        assert_eq!(principal(json).as_deref(), Ok(USER), "{json}");
    }
    let json = r#"{"accountId":1,"IAMID":"crn-crn:v1:a/b::","userId":"nil","Name":"n","kind":"serviceId",
        "infrastructureaccess":true,"permissions":["Remote Management","server-add","TICKET_VIEW"],
        "devices":[7,"8",null,"null",9.0],"validfrom":"2018-01-01T01:00:00+01:00","deleted":true}"#;
    let read = "1/crn-crn:v1:a/b:: crn-crn:v1:a/b:: n ServiceId linked=true access=Some(true) \
        [REMOTE_MANAGEMENT,SERVER_ADD,TICKET_VIEW] devices=7,8,9 guests= from=2018-01-01T00:00:00Z deleted=true";
    assert_eq!(principal(json).as_deref(), Ok(read));
}

#[test]
fn lists_of_hardware_do_not_speak_of_guests() {
    let cases = [
        ("", "devices=all guests=all"),
        (r#","devices":"all""#, "devices=all guests=all"),
        (r#","devices":[7]"#, "devices=7 guests= "),
        (r#","devices":[]"#, "devices= guests= "),
        (r#","devices":[7],"virtualGuests":"all""#, "devices=7 guests=all"),
        (r#","devices":[7],"virtualGuests":[8]"#, "devices=7 guests=8"),
        (r#","virtualGuests":[8]"#, "devices=all guests=8"),
        (r#","virtualGuests":[]"#, "devices=all guests= "),
    ];
    for (lists, expected) in cases {
        let read = principal(&format!(r#"{{"accountId":1,"userId":2{lists}}}"#));
        let read = read.unwrap_or_else(|problem| problem);
        assert!(read.contains(expected), "{lists}: {read}");
    }
}

#[test]
fn devices_are_read_in_every_form() {
    let same = [
        r#"{"deviceId":7,"accountId":1,"datacenter":"dal10"}"#,
        r#"{"DEVICEID":"7","accountid":1.0,"dataCenter":"dal10","Kind":"hardware"}"#,
        r#"{"deviceId":70e-1,"accountId":"1","datacenter":"dal10","name":"nil","kind":null}"#,
    ];
    for json in same {
        assert_eq!(device(json).as_deref(), Ok("7 1 - dal10 deleted=false"), "{json}");
    }
    let guest = r#"{"deviceId":7,"kind":"virtualGuest","name":"g","deleted":true}"#;
    assert_eq!(device(guest).as_deref(), Ok("virtualGuest/7 - g - deleted=true"));
    for (json, word) in [
        (r#"{"deviceId":"none"}"#, "deviceId is missing"),
        (r#"{"deviceId":7,"kind":"user"}"#, "kind"),
        (r#"{"deviceId":7,"datacenter":10}"#, "datacenter"),
        ("[7,null,1,\"n\",\"dal10\",null,false]", "a JSON object"),
    ] {
        let problem = device(json).expect_err("refused");
        assert!(problem.contains(word), "{json}: {problem}");
    }
}

#[test]
fn what_says_two_things_or_nothing_is_refused() {
    let cases = [
        (r#"[1,2,"IBMid-X","n","user",true,true,[],null,null,null,false]"#, "a JSON object"),
        ("null", "a JSON object"),
        (r#"{"accountId":1,"userId":2,"userid":3}"#, "duplicate field `userId`"),
        (r#"{"accountId":1,"userId":2,"IAMID":"a","iamid":"a"}"#, "duplicate field `iamId`"),
        (r#"{"accountId":"null","userId":2}"#, "accountId is missing"),
        (r#"{"account_id":1,"userId":2}"#, "accountId is missing"),
        (r#"{"accountId":1,"userId":"none"}"#, "userId and iamId are both missing"),
        (r#"{"accountId":1,"userId":2.5}"#, "userId is not an id"),
        (r#"{"accountId":1,"userId":true}"#, "userId is not an id"),
        (r#"{"accountId":1,"userId":{}}"#, "userId is not an id"),
        (r#"{"accountId":"1:2","userId":2}"#, "accountId is not an id"),
        (r#"{"accountId":1,"iamId":"a b"}"#, "iamId is not an IAM identity"),
        (r#"{"accountId":1,"iamId":"\u00e4"}"#, "iamId is not an IAM identity"),
        (r#"{"accountId":1,"iamId":7}"#, "iamId is not a string"),
        (r#"{"accountId":1,"userId":2,"name":"\ud800"}"#, "name is not a string"),
        (r#"{"accountId":1,"userId":2,"linked":"true"}"#, "linked is not true or false"),
        (r#"{"accountId":1,"userId":2,"deleted":1}"#, "deleted is not true or false"),
        (r#"{"accountId":1,"userId":2,"kind":"robot"}"#, "kind is no kind of principal"),
        (r#"{"accountId":1,"userId":2,"permissions":"ALL"}"#, "permissions"),
        (r#"{"accountId":1,"userId":2,"permissions":{"A":true}}"#, "permissions"),
        (r#"{"accountId":1,"userId":2,"devices":""}"#, "devices"),
        (r#"{"accountId":1,"userId":2,"devices":["a b"]}"#, "devices is not an id"),
        (r#"{"accountId":1,"userId":2,"virtualGuests":7}"#, "devices"),
        (r#"{"accountId":1,"userId":2,"validFrom":"2018"}"#, "validFrom is not a time"),
        (r#"{"accountId":1,"userId":2,"permissions":[7]}"#, "expected a string"),
        (r#"{"accountId":1,"userId":2,"validFrom":1}"#, "validFrom is not a string"),
        (r#"{"accountId":1,"userId":2} {}"#, "trailing"),
    ];
    for (json, word) in cases {
        let problem = principal(json).expect_err(json);
        assert!(problem.contains(word), "{json}: {problem}");
    }
    let too_long = format!(r#"{{"accountId":1,"iamId":"{}"}}"#, "a".repeat(513));
    assert!(principal(&too_long).is_err());
    assert!(
        read_principal(b"{\"accountId\":1,\"userId\":2,\"x\":\"\xff\"}", &mut Oddities::default())
            .is_err()
    );
}

#[test]
fn what_nobody_knows_is_counted() {
    let mut oddities = Oddities::default();
    for json in [
        r#"{"accountId":1,"userId":2,"infrastructureAcces":true,"permissions":["","A"]}"#,
        r#"{"accountId":1,"userId":3,"infrastructureAcces":true,"x\n":1}"#,
    ] {
        let read = read_principal(json.as_bytes(), &mut oddities);
        assert!(read.is_ok());
    }
    let fields = oddities.fields.to_string();
    assert_eq!(fields, r#""infrastructureAcces" (2), "x\n" (1)"#);
    assert_eq!(oddities.blank_permissions, 1);
}
