pub struct Health;
impl Health {
    pub fn new(_: usize) -> Self {
        Health
    }
    pub fn stopped(&self, _: usize, _: Option<String>) {}
    pub fn joining(&self, _: usize) {}
    pub fn connecting(&self, _: usize, _: &str) {}
}
