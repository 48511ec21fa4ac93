//! `deploy/grafana/audit-relay.json`, the dashboard, is made from the panels in `panels.rs`, which
//! name metrics and labels that exist, and leave out no metric. `deploy/grafana/test.sh` asks a
//! real Prometheus for every panel.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::panels::{Kind, Panel, metric, rows};
use super::{alerts, runbook};
use audit_cases::root;
use audit_relay::metrics::{METRICS, MetricType};

/// Selects the chosen relays.
const CHOSEN: &str = r#"audit_relay_input_info{job="$job", group="$group", instance=~"$instance"}"#;

/// Height of a number, and of everything else.
const NUMBER_HEIGHT: u32 = 4;
const HEIGHT: u32 = 8;
const COLUMNS: u32 = 24;

/// Limits what `of(…)` and `known(…)` enclose to the chosen relays, by their consumer group, as the
/// alert rules do. A rate also counts a relay that ended within its window.
fn expand(expression: &str) -> String {
    let Some((before, name, rest)) = find_call(expression) else {
        return expression.to_string();
    };
    let (inner, after) = split_call(rest);
    let chosen = match name {
        "known" => format!("last_over_time({CHOSEN}[1d])"),
        _ if inner.contains("[$__rate_interval]") => {
            format!("last_over_time({CHOSEN}[$__rate_interval])")
        }
        _ => CHOSEN.to_string(),
    };
    format!("{before}({inner} and on (job, instance) {chosen}){}", expand(after))
}

/// Returns what is before the first call, its name, and what follows its opening parenthesis.
fn find_call(expression: &str) -> Option<(&str, &'static str, &str)> {
    let calls = ["of", "known"].into_iter().filter_map(|name| {
        let call = format!("{name}(");
        let starts = |at: &usize| !expression[..*at].ends_with(|c: char| c.is_alphanumeric());
        let at = expression.match_indices(&call).map(|(at, _)| at).find(starts)?;
        Some((at, name, at + call.len()))
    });
    let (at, name, end) = calls.min()?;
    Some((&expression[..at], name, &expression[end..]))
}

/// Splits at the parenthesis that closes the call.
fn split_call(text: &str) -> (&str, &str) {
    let mut depth = 1;
    for (at, character) in text.char_indices() {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        if depth == 0 {
            return (&text[..at], &text[at + 1..]);
        }
    }
    panic!("not closed: {text}");
}

fn data_source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn query_variable(name: &str, label: &str, query: &str) -> Value {
    json!({
        "type": "query", "name": name, "label": label, "datasource": data_source(),
        "query": {"query": query, "refId": name}, "definition": query,
        "refresh": 2, "sort": 1, "multi": false, "includeAll": false,
    })
}

fn variables() -> Value {
    let mut instance = query_variable(
        "instance",
        "Relay",
        r#"label_values(audit_relay_input_info{job="$job", group="$group"}, instance)"#,
    );
    for (key, value) in [
        ("multi", json!(true)),
        ("includeAll", json!(true)),
        ("allValue", json!(".+")),
        ("current", json!({"text": "All", "value": "$__all"})),
    ] {
        instance[key] = value;
    }
    let group = r#"label_values(audit_relay_input_info{job="$job"}, group)"#;
    json!({"list": [
        {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus"},
        query_variable("job", "Job", "label_values(audit_relay_input_info, job)"),
        query_variable("group", "Consumer group", group),
        instance,
        {
            "type": "textbox", "name": "runbook", "label": "Address of the runbook", "query": "",
            "description": "Where your copy of docs/operating/runbook.md is: the links of the panels go there.",
        },
    ]})
}

fn link(title: &str, url: &str) -> Value {
    json!({
        "title": title, "type": "link", "url": url, "icon": "doc", "tooltip": "", "tags": [],
        "asDropdown": false, "targetBlank": true, "includeVars": false, "keepTime": false,
    })
}

fn description(panel: &Panel) -> String {
    let mut text = vec![panel.tells.clone(), panel.worry.to_string()];
    if !panel.alerts.is_empty() {
        text.push(format!("Runbook: {}.", panel.alerts.join(", ")));
    }
    text.retain(|part| !part.is_empty());
    text.join(" ")
}

fn thresholds(warning: Option<f64>, color: &str) -> Value {
    let mut steps = vec![json!({"value": null, "color": "green"})];
    steps.extend(warning.map(|value| json!({"value": value, "color": color})));
    json!({"mode": "absolute", "steps": steps})
}

/// The band of a state: `good` is the value that is green.
fn states(good: &str, texts: [&str; 2]) -> Value {
    let color = |value: &str| if value == good { "green" } else { "red" };
    json!([{"type": "value", "options": {
        "0": {"text": texts[0], "color": color("0"), "index": 0},
        "1": {"text": texts[1], "color": color("1"), "index": 1},
    }}])
}

/// The plug-in of a panel, its options, and the defaults of its fields.
fn looks(panel: &Panel) -> (&'static str, Value, Value) {
    let legend = json!({
        "displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": [],
    });
    let tooltip = json!({"mode": "multi", "sort": "desc"});
    let defaults = json!({"unit": panel.unit, "color": {"mode": "palette-classic"}});
    let with = |more: Value| {
        let mut defaults = defaults.clone();
        let more = more.as_object().expect("an object").clone();
        defaults.as_object_mut().expect("an object").extend(more);
        defaults
    };
    let graph = |custom: Value, limit: Option<f64>| {
        let more = json!({"min": 0, "custom": custom, "thresholds": thresholds(limit, "red")});
        ("timeseries", json!({"legend": legend.clone(), "tooltip": tooltip.clone()}), with(more))
    };
    let bands = |mappings: Value| {
        let options = json!({
            "showValue": "never", "rowHeight": 0.8, "mergeValues": true, "alignValue": "left",
            "legend": legend.clone(), "tooltip": {"mode": "single", "sort": "none"},
        });
        let color = json!({"mode": "thresholds"});
        ("state-timeline", options, with(json!({"color": color, "mappings": mappings})))
    };
    match panel.kind {
        Kind::Number(warning) => {
            let has_names = panel.queries.len() > 1 || panel.queries[0].1.contains("{{");
            let options = json!({
                "graphMode": "none", "colorMode": "value", "justifyMode": "auto",
                "textMode": if has_names { "value_and_name" } else { "value" },
                "wideLayout": true, "showPercentChange": false, "percentChangeColorMode": "standard",
                "orientation": "auto", "reduceOptions": {"values": false, "calcs": ["lastNotNull"], "fields": ""},
            });
            let color = json!({"mode": "thresholds"});
            (
                "stat",
                options,
                with(json!({"color": color, "thresholds": thresholds(warning, "orange")})),
            )
        }
        Kind::Lines(limit) => {
            let style = if limit.is_some() { "dashed" } else { "off" };
            let custom = json!({
                "lineWidth": 1, "fillOpacity": 5, "showPoints": "never", "thresholdsStyle": {"mode": style},
            });
            graph(custom, limit)
        }
        Kind::Stacked => {
            let custom = json!({
                "lineWidth": 1, "fillOpacity": 40, "showPoints": "never",
                "stacking": {"mode": "normal", "group": "A"},
            });
            graph(custom, None)
        }
        Kind::Good => bands(states("1", ["no", "yes"])),
        Kind::Bad => bands(states("0", ["no", "yes"])),
    }
}

fn panel_json(panel: &Panel, (x, y): (u32, u32)) -> Value {
    let is_number = matches!(panel.kind, Kind::Number(_));
    let target = |(expression, legend): &(String, String), reference: char| {
        json!({
            "refId": reference.to_string(), "datasource": data_source(), "editorMode": "code",
            "expr": expand(expression), "legendFormat": legend,
            "instant": is_number, "range": !is_number,
        })
    };
    let targets: Vec<Value> =
        panel.queries.iter().zip('A'..).map(|(query, name)| target(query, name)).collect();
    let links: Vec<Value> = panel
        .alerts
        .iter()
        .map(|alert| link(alert, &format!("${{runbook}}#{}", alert.to_lowercase())))
        .collect();
    let (plug_in, options, defaults) = looks(panel);
    json!({
        "id": panel.id, "type": plug_in, "title": panel.title, "description": description(panel),
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": height(panel)},
        "datasource": data_source(), "targets": targets, "links": links,
        "fieldConfig": {"defaults": defaults, "overrides": []}, "options": options,
    })
}

fn height(panel: &Panel) -> u32 {
    if matches!(panel.kind, Kind::Number(_)) { NUMBER_HEIGHT } else { HEIGHT }
}

/// Places the panels of each row from left to right, in lines.
fn panels_json() -> Vec<Value> {
    let mut placed = Vec::new();
    let mut y = 0;
    for (id, question, panels) in rows() {
        placed.push(json!({
            "id": id, "type": "row", "title": question, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }));
        y += 1;
        let (mut x, mut line) = (0, 0);
        for panel in &panels {
            if x + panel.width > COLUMNS {
                (x, y, line) = (0, y + line, 0);
            }
            placed.push(panel_json(panel, (x, y)));
            x += panel.width;
            line = line.max(height(panel));
        }
        y += line;
    }
    placed
}

fn dashboard() -> String {
    let dashboard = json!({
        "uid": "audit-relay", "title": "audit-relay", "tags": ["audit-relay", "kafka"],
        "description": "Made from the relay's own table of metrics; see docs/operating/monitoring.md.",
        "schemaVersion": 42, "version": 1, "editable": true, "timezone": "browser", "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1,
        "templating": variables(), "annotations": {"list": []},
        "links": [link("Runbook", "${runbook}")],
        "panels": panels_json(),
    });
    let text = serde_json::to_string_pretty(&dashboard).expect("JSON");
    format!("{text}\n")
}

#[test]
fn the_dashboard_is_made_from_the_panels() {
    let path = root().join("deploy/grafana/audit-relay.json");
    let made = dashboard();
    if std::env::var_os("UPDATE_DEPLOY").is_some_and(|value| value == "1") {
        std::fs::write(&path, &made).expect("deploy/grafana/audit-relay.json can be written");
    }
    let committed = std::fs::read_to_string(&path).expect("deploy/grafana/audit-relay.json");
    assert!(
        committed == made,
        "UPDATE_DEPLOY=1 cargo test --test local deploy writes the dashboard"
    );
}

/// Returns each metric that an expression names, with what follows the name, and the labels that
/// Prometheus adds to it.
fn named(expression: &str) -> Vec<(&str, &str, Option<&'static str>)> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (at, _) in expression.match_indices("audit_relay_") {
        let length = expression[at..].find(|c| !is_word(c)).unwrap_or(expression.len() - at);
        let (word, rest) = expression[at..].split_at(length);
        let histogram = [("_bucket", Some("le")), ("_sum", None), ("_count", None)];
        let part = histogram.into_iter().find_map(|(suffix, label)| {
            let name = word.strip_suffix(suffix)?;
            let is_known = METRICS.iter().any(|metric| metric.name == name);
            (is_known && matches!(metric(name).metric_type, MetricType::Histogram(_)))
                .then_some((name, rest, label))
        });
        found.push(part.unwrap_or((word, rest, None)));
    }
    found
}

/// The labels that a scrape adds, and those of [`CHOSEN`].
const OF_SCRAPE: [&str; 2] = ["job", "instance"];

fn has_label(name: &str, added: Option<&str>, label: &str) -> bool {
    metric(name).labels.contains(&label) || added == Some(label) || OF_SCRAPE.contains(&label)
}

/// The labels of `{a="b", c=~"d"}`, if the text begins with it.
fn matched_labels(text: &str) -> Vec<&str> {
    let inside = text.strip_prefix('{').and_then(|text| text.split_once('}'));
    let pairs = inside.map(|(inside, _)| inside.split(", ")).into_iter().flatten();
    pairs.filter_map(|pair| pair.split(['=', '!']).next()).collect()
}

#[test]
fn panels_name_metrics_and_labels_that_exist() {
    for panel in rows().iter().flat_map(|(_, _, panels)| panels) {
        for (expression, legend) in &panel.queries {
            let expression = expand(expression);
            for (name, rest, added) in named(&expression) {
                for label in matched_labels(rest) {
                    assert!(
                        has_label(name, added, label),
                        "{}: {name} has no label {label}",
                        panel.id
                    );
                }
            }
            let mut kept = BTreeSet::new();
            for (at, by) in expression.match_indices("by (") {
                let part = &expression[at + by.len()..];
                let (labels, rest) = part.split_once(')').expect("closed");
                let next = named(rest).into_iter().next();
                for label in labels.split(", ") {
                    kept.insert(label);
                    let has = OF_SCRAPE.contains(&label)
                        || next.is_some_and(|(name, _, added)| has_label(name, added, label));
                    assert!(has, "{}: there is no label {label} in {rest}", panel.id);
                }
            }
            for label in legend.split("{{").skip(1).filter_map(|part| part.split("}}").next()) {
                assert!(kept.contains(label), "{}: the legend names {label}", panel.id);
            }
        }
    }
}

#[test]
fn every_metric_is_on_a_panel() {
    let rows = rows();
    let panels = rows.iter().flat_map(|(_, _, panels)| panels);
    let expressions: String =
        panels.flat_map(|panel| &panel.queries).map(|(text, _)| expand(text) + "\n").collect();
    let shown: BTreeSet<&str> = named(&expressions).into_iter().map(|(name, ..)| name).collect();
    for metric in METRICS {
        assert!(shown.contains(metric.name), "{} is on no panel", metric.name);
    }
}

#[test]
fn every_metric_is_of_the_chosen_relays() {
    for panel in rows().iter().flat_map(|(_, _, panels)| panels) {
        assert!(!panel.tells.is_empty() && !panel.queries.is_empty(), "{}", panel.id);
        for (expression, _) in &panel.queries {
            let mut outside = String::new();
            let mut rest = expression.as_str();
            while let Some((before, _, inside)) = find_call(rest) {
                outside.push_str(before);
                rest = split_call(inside).1;
            }
            outside.push_str(rest);
            let is_named = ["audit_relay_", "process_", "up", "vector"]
                .iter()
                .any(|name| outside.contains(name));
            assert!(!is_named, "{}: {outside}", panel.id);
        }
    }
}

#[test]
fn ids_are_unique_and_links_lead_to_alerts() {
    let mut ids = BTreeSet::new();
    let (headings, alerts) = (runbook(), alerts());
    for (row, _, panels) in rows() {
        assert!(ids.insert(row), "{row} twice");
        for panel in panels {
            assert!(ids.insert(panel.id), "{} twice", panel.id);
            assert_eq!(panel.id / 100 * 100, row, "{}", panel.title);
            for alert in panel.alerts {
                let rule = format!("- alert: {alert}\n");
                assert!(headings.contains(*alert) && alerts.contains(&rule), "{alert}");
            }
        }
    }
}

#[test]
fn calls_are_expanded() {
    let cases = [
        (
            "max(of(a)) - of(f(b))",
            format!(
                "max((a and on (job, instance) {CHOSEN})) - (f(b) and on (job, instance) {CHOSEN})"
            ),
        ),
        (
            "of(rate(c[$__rate_interval]))",
            format!(
                "(rate(c[$__rate_interval]) and on (job, instance) last_over_time({CHOSEN}[$__rate_interval]))"
            ),
        ),
        ("known(up)", format!("(up and on (job, instance) last_over_time({CHOSEN}[1d]))")),
        ("roof(x)", "roof(x)".to_string()),
    ];
    for (text, expected) in cases {
        assert_eq!(expand(text), expected);
    }
}
