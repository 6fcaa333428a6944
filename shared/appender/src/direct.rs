//! Each request is a segment of its own: the strategy where nothing may be left for after the answer (Lambda).

use async_trait::async_trait;
use model::TenantId;

use crate::{Batch, Receipt, Result, WriteBuffer, Writer};

/// Writes every batch at once.
#[derive(Debug)]
pub struct Direct {
    writer: Writer,
}

impl Direct {
    /// Makes the strategy over a writer.
    pub fn new(writer: Writer) -> Direct {
        Direct { writer }
    }
}

#[async_trait]
impl WriteBuffer for Direct {
    async fn append(&self, tenant: &TenantId, batch: Batch) -> Result<Receipt> {
        self.writer.admit(tenant, &batch).await?;
        self.writer.write(tenant, batch).await
    }

    async fn close(&self) {}
}
