pub fn init(_: crate::config::LogFormat, l: &str) {
    tracing_subscriber::fmt()
        .with_env_filter(l.to_string())
        .with_writer(std::io::stderr)
        .init()
}
