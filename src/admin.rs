use crate::{health::Health, metrics::Metrics};
use std::{net::SocketAddr, sync::Arc};
pub struct Admin(SocketAddr);
impl Admin {
    pub async fn bind(a: SocketAddr) -> anyhow::Result<Admin> {
        Ok(Admin(a))
    }
    pub fn local_addr(&self) -> SocketAddr {
        self.0
    }
    pub async fn serve(self, _: Arc<Metrics>, _: Arc<Health>, f: impl Future<Output = ()>) {
        f.await
    }
}
