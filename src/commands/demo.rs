pub fn demo(_: &crate::cli::DemoArgs) -> anyhow::Result<()> {
    Ok(())
}
