//! The status page in a real browser, Chromium, over the WebDriver protocol: the page's own policy
//! accepts the style sheet, nothing is cut off on a narrow screen, both color schemes can be read,
//! and the page refreshes itself.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use audit_cases::root;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

const WAIT_MAX: Duration = Duration::from_secs(60);

/// Width and height of the window.
const WIDE: (u32, u32) = (1_000, 1_420);
const NARROW: (u32, u32) = (360, 800);

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Starts a command, and returns what follows `marker` in its output.
    fn start(command: &mut Command, marker: &str) -> (Running, String) {
        let child = command.stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let mut lines = output.lines().map_while(Result::ok);
        let found = lines.find_map(|line| Some(line.split_once(marker)?.1.trim().to_string()));
        // The rest must be read, or the process would wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        (Running(child), found.unwrap_or_else(|| panic!("no {marker:?} of {command:?}")))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

/// A browser window.
struct Window {
    agent: ureq::Agent,
    session: String,
}

impl Window {
    fn open(driver: &str, page: &str, (width, height): (u32, u32), scheme: &str) -> Window {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(WAIT_MAX)).build().into();
        // As root, as in a container, Chromium starts without its sandbox only.
        let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"];
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let created = send(&agent, &format!("{driver}/session"), &capabilities);
        let id = created["sessionId"].as_str().expect("a session");
        let window = Window { agent, session: format!("{driver}/session/{id}") };
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        window.chromium("Emulation.setDeviceMetricsOverride", &metrics);
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        window.chromium("Emulation.setEmulatedMedia", &media);
        window.send("url", &json!({ "url": page }));
        window
    }

    fn send(&self, path: &str, body: &Value) -> Value {
        send(&self.agent, &format!("{}/{path}", self.session), body)
    }

    /// Sends a command of Chromium's own protocol.
    fn chromium(&self, command: &str, parameters: &Value) {
        self.send("goog/cdp/execute", &json!({ "cmd": command, "params": parameters }));
    }

    /// Evaluates an expression. The browser does it for the driver: the page's policy still holds
    /// for the page.
    fn evaluate(&self, expression: &str) -> Value {
        let script = format!("return {expression};");
        self.send("execute/sync", &json!({ "script": script, "args": [] }))
    }

    fn screenshot(&self) -> Vec<u8> {
        let url = format!("{}/screenshot", self.session);
        let text = self.agent.get(&url).call().and_then(|mut it| it.body_mut().read_to_string());
        let answer: Value = serde_json::from_str(&text.expect("a screenshot")).expect("JSON");
        STANDARD.decode(answer["value"].as_str().expect("text")).expect("Base64")
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        _ = self.agent.delete(&self.session).call();
    }
}

fn send(agent: &ureq::Agent, url: &str, body: &Value) -> Value {
    let answer = agent.post(url).config().http_status_as_error(false).build();
    let mut answer = answer.send(body.to_string()).unwrap_or_else(|error| panic!("{url}: {error}"));
    let status = answer.status();
    let text = answer.body_mut().read_to_string().expect("text");
    assert!(status.is_success(), "{url}: {text}");
    serde_json::from_str::<Value>(&text).expect("JSON")["value"].take()
}

/// The contrast of an element's text with the ground of the page, as WCAG defines it.
const CONTRAST: &str = r"(selector => {
    const channels = color => color.match(/[\d.]+/g).slice(0, 3).map(it => it / 255);
    const linear = it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4;
    const luminance = color => {
        const [r, g, b] = channels(color).map(linear);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const style = getComputedStyle(document.querySelector(selector));
    const pair = [luminance(style.color), luminance(getComputedStyle(document.body).backgroundColor)];
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
})";

/// The texts of the picture that lie outside of it.
const OUTSIDE: &str = r"(() => {
    const picture = document.querySelector('svg').getBoundingClientRect();
    return [...document.querySelectorAll('svg text')].filter(text => {
        const box = text.getBoundingClientRect();
        return box.left < picture.left - 1 || box.right > picture.right + 1 || box.bottom > picture.bottom + 1;
    }).map(text => text.textContent);
})()";

fn assert_readable(window: &Window, what: &str) {
    for selector in ["body", "p.quiet"] {
        let contrast = window.evaluate(&format!("{CONTRAST}({selector:?})")).as_f64();
        assert!(
            contrast.is_some_and(|contrast| contrast >= 4.5),
            "{what} {selector}: {contrast:?}"
        );
    }
    let page = "document.documentElement.scrollWidth <= window.innerWidth";
    assert_eq!(window.evaluate(page), json!(true), "{what}: the page is wider than its window");
    assert_eq!(window.evaluate(OUTSIDE), json!([]), "{what}: texts outside of the picture");
    let log = window.send("se/log", &json!({ "type": "browser" }));
    assert_eq!(log, json!([]), "{what}: the browser complains");
}

#[test]
#[ignore = "needs Chromium and its driver, which .ci/run installs"]
fn the_page_works_in_a_browser() {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_audit-relay"));
    let (_demo, page) = Running::start(demo.args(["demo", "--keep"]), "status ");
    let mut driver = Command::new("chromedriver");
    let (_driver, port) = Running::start(driver.arg("--port=0"), "successfully on port ");
    let driver = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));

    let light = Window::open(&driver, &page, WIDE, "light");
    // The page refreshes itself until all regions have had an event.
    let bands = "document.querySelectorAll('svg path').length";
    let since = Instant::now();
    while light.evaluate(bands).as_u64() < Some(9) {
        assert!(since.elapsed() < WAIT_MAX, "only {} bands", light.evaluate(bands));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(light.evaluate("document.querySelectorAll('script').length"), json!(0));
    assert_eq!(light.evaluate("document.querySelector('.state').textContent"), json!("ready"));
    assert_readable(&light, "light");
    let picture = light.screenshot();
    if std::env::var_os("UPDATE_PICTURES").is_some_and(|value| value == "1") {
        std::fs::write(root().join("docs/pictures/status.png"), &picture).expect("is written");
    }

    let ground = "getComputedStyle(document.body).backgroundColor";
    let dark = Window::open(&driver, &page, WIDE, "dark");
    assert_readable(&dark, "dark");
    assert_ne!(light.evaluate(ground), dark.evaluate(ground), "the scheme makes a difference");
    assert_readable(&Window::open(&driver, &page, NARROW, "light"), "narrow");
}
